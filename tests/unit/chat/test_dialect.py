"""How a provider is asked, and what of its refusals is the caller's to know."""

import orjson
import pytest

from services.chat.adapters.dialect import Dialect, option_refused
from services.chat.generation import Ask, PromptMessage, ToolSpec

ASK = Ask("m", [PromptMessage("user", "Hello.")], options={"temperature": 0.5, "seed": 1, "user": "me"})


@pytest.mark.parametrize(
    ("refusal", "named"),
    [
        (b'{"error": {"message": "Unsupported value", "param": "temperature"}}', "temperature"),
        (
            b'{"error": {"message": "Unsupported value: \'temperature\' is 1 only", "param": "temperature"}}',
            "temperature",
        ),
        (b'{"error": {"message": "Unrecognized request argument supplied: seed"}}', "seed"),
        (b'{"error": {"message": "Roles have to alternate, and \'user\' is said twice"}}', None),
        (b'{"error": {"message": "No", "param": "user"}}', "user"),
        (b"", None),
    ],
)
def test_an_option_that_is_refused_is_found_by_its_name(refusal: bytes, named: str | None) -> None:
    assert option_refused(refusal, ASK) == named


def test_what_a_caller_asks_for_is_sent_though_ours_was_refused() -> None:
    dialect = Dialect(frozenset({"temperature", "max_completion_tokens"}))

    sent = orjson.loads(dialect.body(ASK, answer_tokens=5, temperature=0.1))

    assert (sent["temperature"], sent["seed"], sent["max_tokens"]) == (0.5, 1, 5)


def test_a_tool_is_strict_where_its_caller_says_so() -> None:
    ask = Ask("m", [], tools=[ToolSpec("a", "", {}, is_strict=True), ToolSpec("b", "", {})])

    strict, other = orjson.loads(Dialect().body(ask, answer_tokens=5, temperature=None))["tools"]

    assert (strict["function"]["strict"], "strict" in other["function"]) == (True, False)
