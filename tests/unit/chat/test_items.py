"""Items as messages, messages as items, and what models are told of both."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.chat.domain import Message
from services.chat.generation import PromptMessage, ToolCall
from services.chat.items.given import GivenItem
from services.chat.items.reading import item_of
from services.chat.items.translating import message_of, prompt_messages
from services.chat.past import Past
from services.chat.storage import message_bytes, message_from

USER = {"role": "user", "content": "Weather?"}
CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
OTHER = CALL | {"call_id": "c2"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "Rain."}
ANSWER = {"role": "assistant", "content": "It rains."}


def given(*items: dict[str, Any]) -> list[Message]:
    found = [message_of(GivenItem.model_validate(one), "/items/0") for one in items]
    return [one for one in found if one]


@pytest.mark.parametrize("item", [USER, CALL, RESULT, ANSWER])
def test_an_item_that_was_read_may_be_given_again(item: dict[str, Any]) -> None:
    message = given(item)[0]

    again = given(item_of(message).model_dump(mode="json"))[0]

    assert message_from(message_bytes(message)) == message
    assert item_of(again).model_dump(exclude={"id"}) == item_of(message).model_dump(exclude={"id"})


def test_parts_are_kept_as_one_text() -> None:
    parts = [{"type": "input_text", "text": "one"}, {"type": "input_text", "text": "two"}]

    assert given({"role": "user", "content": parts})[0].content == "one\ntwo"


def test_reasoning_is_taken_as_an_answer_had_it_and_kept_nowhere() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "content": None}

    assert given(item) == []


def test_a_model_is_told_calls_with_the_answer_that_made_them() -> None:
    told = prompt_messages(given({"role": "developer", "content": "Be brief."}, USER, ANSWER, CALL, OTHER, RESULT))

    calls = [ToolCall("c1", "look", "{}"), ToolCall("c2", "look", "{}")]
    assert told == [
        PromptMessage("system", "Be brief."),
        PromptMessage("user", "Weather?"),
        PromptMessage("assistant", "It rains.", calls),
        PromptMessage("tool", "Rain.", (), "c1"),
    ]


def test_a_question_is_answered_by_what_follows_its_calls() -> None:
    messages = given(USER, USER, CALL, RESULT, ANSWER, USER)

    assert Past(messages, 6).exchanges == [(messages[1], messages[4])]


def test_what_was_said_before_calls_and_after_them_is_one_answer() -> None:
    first = {"role": "assistant", "content": "Let me look."}
    messages = given(USER, first, CALL, RESULT, ANSWER, USER, ANSWER)

    told = [(question, answer.id, answer.content) for question, answer in Past(messages, 7).exchanges]

    assert told == [
        (messages[0], messages[4].id, "Let me look.\n\nIt rains."),
        (messages[5], messages[6].id, "It rains."),
    ]


@pytest.mark.parametrize(
    "item",
    [
        USER | {"content": [{"type": "input_text"}]},
        USER | {"content": ["text"]},
        USER | {"content": [{"type": ["input_text"], "text": "x"}]},
        USER | {"content": [{"type": "output_text", "text": "x", "annotations": [{"type": "file_citation"}]}]},
        USER | {"content": [{"type": "input_text", "text": "x"}] * 257},
        USER | {"content": "x" * (2**18 + 1)},
        USER | {"citations": [{}]},
        CALL | {"name": "no name"},
        CALL | {"async": True},
        RESULT | {"call_id": None},
        {"type": 7, "role": "user", "content": "x"},
    ],
)
def test_what_has_not_its_form_is_refused(item: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GivenItem.model_validate(item)
