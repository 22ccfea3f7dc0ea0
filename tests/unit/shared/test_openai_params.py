"""How OpenAI writes which field is to blame, and what is said of several."""

import pytest

from shared.errors import FieldProblem, Invalid
from shared.openai import error_object
from shared.openai.params import param_of


@pytest.mark.parametrize(
    ("pointer", "param"),
    [
        ("", None),
        ("/model", "model"),
        ("/messages/0/content", "messages[0].content"),
        ("/input/1/2", "input[1][2]"),
        ("/a~1b~0c", "a/b~c"),
        ("query/limit", "limit"),
        ("header/idempotency-key", "idempotency-key"),
        ("/" + "x" * 1000, "x" * 128),
    ],
)
def test_a_pointer_becomes_a_param(pointer: str, param: str | None) -> None:
    assert param_of(pointer) == param


def test_what_is_wrong_with_one_field_is_said_once() -> None:
    error = error_object(Invalid.field("/x/0", "odd", "x is odd"))

    assert (error["message"], error["param"]) == ("x[0]: x is odd", "x[0]")


def test_what_is_wrong_with_several_is_said_of_each() -> None:
    problems = [FieldProblem(pointer=f"/{name}", code="odd", detail="is odd") for name in "ab"]

    error = error_object(Invalid(errors=problems))

    assert error["message"] == "The request is not valid: a: is odd; b: is odd"
    assert error["param"] == "a"
