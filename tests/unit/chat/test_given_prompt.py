"""What a model is told of a history that its caller gives."""

from typing import Any

import pytest

from services.chat.domain import Agent
from services.chat.generation import PromptMessage, ToolCall
from services.chat.given import Given
from services.chat.given_prompt import build_given
from services.chat.prompt import PromptBudget

BUDGET = PromptBudget(total=1000, sources=300, passage=100, history=200)
USER, AGAIN = PromptMessage("user", "Weather?"), PromptMessage("user", "And now?")
CALLING = PromptMessage("assistant", "It rains.", [ToolCall("c1", "look", "{}")])
RESULT = PromptMessage("tool", "Rain.", tool_call_id="c1")


def spoke(content: str, **members: Any) -> PromptMessage:
    return PromptMessage("assistant", content, **members)


@pytest.mark.parametrize("agent", [Agent("", "", "m", ()), Agent("a", "", None, ())], ids=["model", "agent"])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([USER, spoke("Let me look."), spoke("It rains."), AGAIN], [USER, spoke("Let me look.\n\nIt rains."), AGAIN]),
        ([USER, spoke(""), spoke("It rains.")], [USER, spoke("It rains.")]),
        (
            [USER, spoke("Let me look."), CALLING, RESULT],
            [USER, spoke("Let me look.\n\nIt rains.", tool_calls=CALLING.tool_calls), RESULT],
        ),
        ([USER, CALLING, RESULT, spoke("It rains.")], [USER, CALLING, RESULT, spoke("It rains.")]),
        ([spoke("Yes.", name="ada"), spoke("No.", name="bob")], [spoke("Yes.", name="ada"), spoke("No.", name="bob")]),
        ([USER, AGAIN], [USER, AGAIN]),
    ],
    ids=["before its own tools and after", "nothing", "before the caller's", "after them", "two who speak", "a user"],
)
def test_what_an_assistant_says_twice_in_a_row_is_one_message(
    agent: Agent, given: list[PromptMessage], told: list[PromptMessage]
) -> None:
    """Templates of Mistral, Gemma and others refuse a history in which a role comes twice."""
    prompt = build_given(agent, "?", Given(given, tokens=10), [], BUDGET)

    assert list(prompt.messages) == told
