"""Where a field problem points, and what is never in it."""

import pytest

from shared.errors import Invalid, NotFound, RateLimited, Unavailable, field_problems, problem_body


@pytest.mark.parametrize(
    ("location", "pointer"),
    [
        (("body", "items", 3, "id"), "/items/3/id"),
        (("body", "a/b~c"), "/a~1b~0c"),
        (("body",), ""),
        (("body", 17), ""),
        (("query", "limit"), "query/limit"),
        (("path", "id"), "path/id"),
        (("header", "if-match"), "header/if-match"),
    ],
)
def test_locations_become_pointers(location: tuple[str | int, ...], pointer: str) -> None:
    [problem] = field_problems([{"loc": location, "type": "missing", "msg": "required", "input": "s3cret"}])

    assert (problem.pointer, problem.code) == (pointer, "missing")
    assert "s3cret" not in problem.model_dump_json()


def test_a_flood_of_bad_fields_is_cut() -> None:
    flood = [{"loc": ("body", number), "type": "missing", "msg": "required"} for number in range(1000)]

    assert len(field_problems(flood)) == 20


def test_a_problem_has_every_promised_member() -> None:
    body = problem_body(NotFound(), instance="/api/v1/x", trace_id="0" * 32)

    assert body.keys() == {"type", "title", "status", "detail", "code", "instance", "trace_id"}


def test_errors_are_there_only_for_field_problems() -> None:
    body = problem_body(Invalid.field("/x", "odd", "x is odd"), instance="/", trace_id="")

    assert body["errors"] == [{"pointer": "/x", "code": "odd", "detail": "x is odd"}]


@pytest.mark.parametrize("error", [RateLimited(retry_after_seconds=7), Unavailable("redis", retry_after_seconds=7)])
def test_what_may_be_tried_again_says_when(error: RateLimited | Unavailable) -> None:
    assert error.headers["Retry-After"] == "7"
