"""What headers say of a single resource: `ETag` and `Location` out, `If-Match` in."""

from typing import Annotated, Any

from fastapi import Header, Response

from shared.errors import PreconditionFailed

IfMatch = Annotated[
    str | None, Header(alias="If-Match", max_length=256, description="refuse with 412 unless the `ETag` is still this")
]


def etag(version: int | str) -> str:
    """The strong tag of a resource at `version`, which must change with every change of the resource."""
    return f'"{version}"'


def require_match(if_match: str | None, current: str) -> None:
    """Raises PreconditionFailed when the caller named tags and none of them is `current`."""
    if if_match is None or if_match.strip() == "*":
        return
    if current not in [tag.strip() for tag in if_match.split(",")]:
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
