"""What headers say of a single resource: `ETag` and `Location` out, `If-Match` in."""

from typing import Annotated, Any, Final

from fastapi import Header, Response

from shared.errors import PreconditionFailed

IfMatch = Annotated[
    str | None, Header(alias="If-Match", max_length=256, description="refuse with 412 unless the `ETag` is still this")
]

OF_VERSION: Final = ":"
"""In a tag, between the version and what tells of the rest that an answer shows (`conditional`)."""


def etag(version: int | str) -> str:
    """The tag of a resource at `version`, which must change with every change that `If-Match` is to notice."""
    return f'"{version}"'


def version_in(tag: str) -> str:
    """What `etag` was given for this tag, whatever else an answer has put into it."""
    return tag.strip('"').partition(OF_VERSION)[0]


def require_match(if_match: str | None, current: str) -> None:
    """Raises PreconditionFailed when the caller named tags and none of them is of the version that `current` is of.

    A tag that was read with a body is of its version, whatever of the body has changed beside it.
    """
    if if_match is None or if_match.strip() == "*":
        return
    read = current[:-1] + OF_VERSION
    if not any(tag == current or tag.startswith(read) for tag in map(str.strip, if_match.split(","))):
        raise PreconditionFailed


def describe(response: Response, *, version: int | str | None = None, location: str | None = None) -> None:
    """Say of the resource in the body which version it is, and where it can be read again."""
    if version is not None:
        response.headers["ETag"] = etag(version)
    if location is not None:
        response.headers["Location"] = location


def described(*, tag: str | None = None, location: str | None = None) -> dict[str, Any]:
    """For the `responses` of an operation: what its document says of the headers that `describe` sets."""
    said = {"ETag": tag, "Location": location}
    return {
        "headers": {
            name: {"description": description, "schema": {"type": "string"}}
            for name, description in said.items()
            if description is not None
        }
    }
