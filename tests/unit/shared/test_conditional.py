"""A tag on whatever is read, that changes with whatever the answer shows; and 304 for whoever has it."""

from typing import Any

import pytest
from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from shared.errors import Invalid, PreconditionFailed
from shared.resources import conditional, describe, etag, require_match


def answered(
    body: Any = None, *, method: str = "GET", told: str | None = None, version: int | None = None, status: int = 200
) -> Response:
    response = JSONResponse(body or {"name": "one"}, status)
    describe(response, version=version, location="/there")
    headers = [] if told is None else [(b"if-none-match", told.encode())]
    return conditional(Request({"type": "http", "method": method, "headers": headers}), response)


@pytest.mark.parametrize("version", [None, 3])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other" , {}', '"other",{}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_it_is_sent_no_body(version: int | None, form: str, method: str) -> None:
    tag = answered(version=version).headers["etag"]

    again = answered(version=version, told=form.format(tag), method=method)

    assert (again.status_code, again.body, again.headers["etag"]) == (304, b"", tag)
    assert again.headers["location"] == "/there"
    assert not {"content-type", "content-length"}.intersection(again.headers)


def test_what_is_counted_beside_the_version_shows_in_the_tag() -> None:
    tag = answered({"count": 1}, version=3).headers["etag"]

    changed = answered({"count": 2}, version=3, told=tag)

    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    for read in (tag, changed.headers["etag"]):
        require_match(read, etag(3))
        with pytest.raises(PreconditionFailed):
            require_match(read, etag(4))


def test_a_write_is_done_whatever_the_caller_has() -> None:
    tag = answered(version=3).headers["etag"]

    assert answered(version=3, told=tag, method="PATCH").status_code == 200
    assert answered(version=3, method="PATCH").headers["etag"] == tag
    assert "etag" not in answered(method="POST").headers


@pytest.mark.parametrize("status", [202, 404, 500])
def test_what_is_no_resource_has_no_tag(status: int) -> None:
    assert "etag" not in answered(status=status).headers


def test_a_stream_stays_as_it_is() -> None:
    request = Request({"type": "http", "method": "GET", "headers": []})

    assert "etag" not in conditional(request, StreamingResponse([], media_type="application/json")).headers


def test_more_tags_than_anybody_needs_are_refused() -> None:
    with pytest.raises(Invalid):
        answered(told='"x",' * 300)
