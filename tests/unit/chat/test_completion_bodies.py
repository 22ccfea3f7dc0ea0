"""What a completion may be asked, and what is refused by name."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from services.chat.completions.schemas import CompletionCreate
from services.chat.completions.translating import form_of, given_of, question_of
from services.chat.dialogue.errors import PromptTooLong
from services.chat.generation import PromptMessage, ToolCall
from services.chat.given import Door, FileSearch, Given, given_from, given_members
from services.chat.images.domain import Eyes
from services.chat.images.errors import ImageUnreadable, ModelWithoutEyes
from services.chat.prompt import PromptBudget
from tests.fixtures.images import data_url, png

BUDGET = PromptBudget(total=1_000, sources=500, passage=200, history=200)
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "Rain."}
TOOL = {"type": "function", "function": {"name": "look"}}
USER = {"role": "user", "content": "Hello."}
PNG = data_url(png(600, 600))
TEXT = {"type": "text", "text": "What is it?"}
IMAGE = {"type": "image_url", "image_url": {"url": PNG, "detail": None}}
SEEING = replace(BUDGET, eyes=Eyes())


def body(*messages: dict[str, Any], **members: Any) -> CompletionCreate:
    return CompletionCreate.model_validate({"model": "m", "messages": list(messages or [USER]), **members})


def refusal(*messages: dict[str, Any], **members: Any) -> tuple[tuple[Any, ...], str]:
    """Where, and what for."""
    with pytest.raises(ValidationError) as refused:
        body(*messages, **members)
    error = refused.value.errors()[0]
    return error["loc"], error["msg"]


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([USER, RESULT], "messages[1] answers a call that nobody has made"),
        ([CALLING, RESULT, RESULT], "messages[2] answers a call that was answered, or not made just before"),
        ([CALLING, USER], "messages[1] comes before all calls of the assistant have their results"),
        ([USER, CALLING], "messages[1] has calls without results"),
    ],
)
def test_every_call_has_its_result_and_every_result_its_call(messages: list[dict[str, Any]], told: str) -> None:
    assert refusal(*messages)[1] == told


@pytest.mark.parametrize(
    ("message", "at"),
    [
        ({"role": "function", "content": "x", "name": "f"}, ("messages", 0, "role")),
        ({"role": "user", "content": None}, ("messages", 0)),
        ({"role": "user", "content": "x", "tool_calls": [CALL]}, ("messages", 0)),
        ({"role": "user", "content": "x", "tool_call_id": "c1"}, ("messages", 0)),
        ({"role": "tool", "content": "x"}, ("messages", 0)),
        ({"role": "system", "content": [IMAGE]}, ("messages", 0)),
        ({"role": "assistant", "content": [IMAGE]}, ("messages", 0)),
        ({"role": "user", "content": [TEXT, {"type": "image_url"}]}, ("messages", 0, "content", 1, "image_url")),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": 1}}]},
            ("messages", 0, "content", 0, "image_url", "url"),
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG, "detail": "original"}}]},
            ("messages", 0, "content", 0, "image_url", "detail"),
        ),
        (
            {"role": "user", "content": [{**IMAGE, "cache_control": {}}]},
            ("messages", 0, "content", 0, "cache_control"),
        ),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, ("messages", 0, "content")),
        ({"role": "user", "content": [{"type": "text", "text": 1}]}, ("messages", 0, "content")),
        ({"role": "user", "content": [{"type": {}, "text": "x"}]}, ("messages", 0, "content")),
        ({"role": "user", "content": ["x"]}, ("messages", 0, "content")),
        ({"role": "user", "content": []}, ("messages", 0, "content")),
        ({"role": "user", "content": "x", "audio": {"id": "a"}}, ("messages", 0, "audio")),
        ({"role": "user", "content": "x", "mood": "gay"}, ("messages", 0, "mood")),
    ],
)
def test_a_message_that_its_role_does_not_have_is_refused_in_its_place(
    message: dict[str, Any], at: tuple[Any, ...]
) -> None:
    assert refusal(message)[0] == at


@pytest.mark.parametrize(
    "members",
    [
        {"n": 2},
        {"store": True},
        {"logprobs": True},
        {"logit_bias": {"1": 1}},
        {"functions": []},
        {"modalities": ["audio"]},
        {"reasoning_effort": "low"},
        {"temperature": 2.1},
        {"temperature": "1"},
        {"seed": 2**63},
        {"stop": ["a", "b", "c", "d", "e"]},
        {"tools": [TOOL] * 129},
        {"max_tokens": 0},
        {"metadata": {"a": 1}},
        {"unknown": 1},
    ],
    ids=lambda members: next(iter(members)),
)
def test_what_is_not_supported_is_named(members: dict[str, Any]) -> None:
    assert refusal(**members)[0][0] == next(iter(members))


@pytest.mark.parametrize(
    "members",
    [
        {"max_tokens": 1, "max_completion_tokens": 1},
        {"stream_options": {"include_usage": True}},
        {"tools": [TOOL, TOOL]},
        {"tool_choice": "required"},
        {"parallel_tool_calls": True},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "text", "json_schema": {"name": "a", "schema": {}}}},
    ],
)
def test_what_does_not_fit_together_is_refused(members: dict[str, Any]) -> None:
    refusal(**members)


def test_null_is_the_same_as_absent() -> None:
    every = {name: None for name in CompletionCreate.model_fields if name not in ("model", "messages")}

    assert body(**every) == body()


def test_parts_of_a_text_are_one() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]

    given = given_of(body({"role": "developer", "content": parts, "name": "ops"}, CALLING, RESULT), BUDGET)

    assert given.messages == [
        PromptMessage("system", "one\ntwo", [], None, "ops"),
        PromptMessage("assistant", "", [ToolCall("c1", "look", "{}")]),
        PromptMessage("tool", "Rain.", [], "c1"),
    ]


def test_an_image_is_told_where_it_stands_and_counts() -> None:
    low = {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}
    asked = body(USER, {"role": "user", "content": [TEXT, IMAGE, TEXT, low]})

    given = given_of(asked, SEEING)

    message = given.messages[1]
    assert (message.content, [(one.at, one.detail) for one in message.images]) == (
        "What is it?\nWhat is it?",
        [(11, None), (23, "low")],
    )
    assert [one.url for one in message.images] == [PNG, PNG]
    assert given.tokens == given_of(body(USER, {"role": "user", "content": [TEXT, TEXT]}), SEEING).tokens + 765 + 85
    assert question_of(asked.messages) == "What is it?\nWhat is it?"


def test_an_image_may_be_more_than_the_model_holds() -> None:
    with pytest.raises(PromptTooLong):
        given_of(body({"role": "user", "content": [IMAGE, IMAGE]}), SEEING)


def test_a_model_without_eyes_is_shown_none() -> None:
    with pytest.raises(ModelWithoutEyes) as refused:
        given_of(body(USER, {"role": "user", "content": [TEXT, IMAGE, TEXT]}), BUDGET)

    assert refused.value.errors[0].pointer == "/messages/1/content/1"


def test_an_image_that_is_none_is_refused_where_it_stands() -> None:
    broken = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(ImageUnreadable) as refused:
        given_of(body(USER, {"role": "user", "content": [IMAGE, broken]}), SEEING)

    assert refused.value.errors[0].pointer == "/messages/1/content/1/image_url/url"


def test_the_question_is_the_last_that_the_user_said() -> None:
    assert question_of(body(USER, {"role": "user", "content": "x" * 40_000}, CALLING, RESULT).messages) == "x" * 32_768
    assert question_of(body({"role": "system", "content": "x"}).messages) == ""


def test_a_form_is_described_and_of_our_draft() -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}
    form = {"type": "json_schema", "json_schema": {"name": "a", "description": "An a.", "schema": schema}}

    assert form_of(body(response_format=form)) == {"description": "An a.", "type": "object"}
    assert form_of(body(response_format={"type": "json_object"})) == {"type": "object"}
    assert form_of(body(response_format={"type": "text"})) is None


def test_a_history_that_is_far_too_long_is_not_even_counted() -> None:
    with pytest.raises(PromptTooLong):
        given_of(body({"role": "user", "content": "x" * 4_004}), BUDGET)


def test_tool_choice_goes_with_tools_alone() -> None:
    given = given_of(body(tools=[TOOL], tool_choice="none", seed=1), BUDGET)
    demanded = given_of(body(tools=[TOOL], tool_choice="required", parallel_tool_calls=False), BUDGET)

    assert (given.offered, given.asked(has_called=False), given.demands_call) == ((), {"seed": 1}, False)
    assert demanded.asked(has_called=False) == {"tool_choice": "required", "parallel_tool_calls": False}
    assert demanded.asked(has_called=True) == {"parallel_tool_calls": False}
    assert demanded.demands_call


def test_what_was_given_lies_without_its_messages_and_is_picked_up_again() -> None:
    given = given_of(body(tools=[TOOL], seed=1, max_tokens=5), BUDGET)

    found = given_from(given_members(given))

    assert found is not None
    assert (found.tools, found.options, found.answer_tokens, found.messages) == (given.tools, {"seed": 1}, 5, [])
    assert given_from(given_members(None)) is None


def test_a_search_and_what_joins_a_conversation_lie_too() -> None:
    files = FileSearch(["vs_1"], 5, by_words=False, threshold=0.5, filters={"type": "eq", "key": "a", "value": 1})
    given = Given([], 0, files=files, door=Door.RESPONSES, joins=[{"id": "1"}], version=3)

    found = given_from(orjson.loads(orjson.dumps(given_members(given))))

    assert found == replace(given, tools=[])
