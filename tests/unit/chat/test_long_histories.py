"""What becomes of a history is done in the time that its length takes, and not the square of it."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from services.chat.dialogue.calls import unanswered
from services.chat.domain import Agent, Message
from services.chat.generation import PromptMessage, ToolCall
from services.chat.given import Given
from services.chat.given_prompt import build_given
from services.chat.items.translating import prompt_messages
from services.chat.prompt import PromptBudget
from services.chat.times import now

_TIMES = 8
_BUDGET = PromptBudget(10**9, 0, 0, 0)
_NOBODY = Agent("", "", None, ())


def _of_calls(number: int) -> list[Message]:
    return [
        Message("", None, "assistant", "", [], now(), tool_call=ToolCall(f"c{at}", "f", "")) for at in range(number)
    ]


def _answered_backwards(number: int) -> Any:
    calls = [ToolCall(f"c{at}", "f", "") for at in range(number)]
    results = [PromptMessage("tool", "", (), call.id) for call in reversed(calls)]
    return [PromptMessage("assistant", "", calls), *results]


def _said_in_a_row(number: int) -> Given:
    return Given([PromptMessage("assistant", "x" * 2_000)] * number, 0)


@pytest.mark.parametrize(
    ("make", "work", "number"),
    [
        (_of_calls, prompt_messages, 2_000),
        (_answered_backwards, unanswered, 1_000),
        (_said_in_a_row, lambda given: build_given(_NOBODY, "", given, [], _BUDGET), 1_000),
    ],
)
def test_a_history_takes_as_long_as_it_is(make: Callable[[int], Any], work: Callable[[Any], Any], number: int) -> None:
    def took(number: int) -> float:
        made, times = make(number), list[float]()
        for _ in range(3):
            began = time.process_time()
            work(made)
            times.append(time.process_time() - began)
        return min(times)

    assert took(_TIMES * number) < 3 * _TIMES * took(number)


def test_a_call_of_one_id_made_twice_is_answered_twice() -> None:
    twice = PromptMessage("assistant", "", [ToolCall("a", "f", ""), ToolCall("a", "f", "")])
    result = PromptMessage("tool", "", (), "a")

    assert unanswered([twice, result, result]) is None
    assert unanswered([twice, result]) == (1, "has calls without results")
    assert unanswered([twice, result, result, result]) == (
        3,
        "answers a call that was answered, or not made just before",
    )
