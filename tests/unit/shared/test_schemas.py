"""What every request model refuses."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.schemas import LargeModel, Moment, RequestModel, SecretText


class Note(RequestModel):
    text: str


class LargeNote(LargeModel):
    text: str


def refusals(model: type[RequestModel], members: dict[str, object]) -> list[tuple[str, tuple[str | int, ...]]]:
    with pytest.raises(ValidationError) as refused:
        model.model_validate({"text": "x", **members})
    return [(error["type"], error["loc"]) for error in refused.value.errors()]


@pytest.mark.parametrize("model", [Note, LargeNote])
def test_unknown_members_are_named_one_by_one_while_they_are_few(model: type[RequestModel]) -> None:
    assert refusals(model, {"a": 1, "b": 2}) == [("extra_forbidden", ("a",)), ("extra_forbidden", ("b",))]


def test_a_crowd_of_unknown_members_is_refused_as_one() -> None:
    assert refusals(LargeNote, {f"{number}": 1 for number in range(100_000)}) == [("extra_forbidden", ())]


@pytest.mark.parametrize(
    "edge",
    ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999999Z"],
)
def test_a_moment_that_some_time_zone_lacks_is_refused(edge: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_python(edge)


@pytest.mark.parametrize("number", ["0.5", "1700000000", 1700000000, 0.5, True])
def test_a_number_is_no_moment(number: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_python(number)


def test_a_moment_is_any_other() -> None:
    taken = TypeAdapter(Moment).validate_python("2999-12-31T23:59:59-14:00")

    assert taken.astimezone(UTC) == datetime(3000, 1, 1, 13, 59, 59, tzinfo=UTC)


def test_a_secret_is_one_that_can_be_hashed() -> None:
    secrets = TypeAdapter(SecretText)

    assert secrets.validate_python("\x00 \U0001f9ea \u202e").get_secret_value() == "\x00 \U0001f9ea \u202e"
    with pytest.raises(ValidationError):
        secrets.validate_python("half \ud800 a character")
