"""`ETag` on whatever is read, and 304 in place of what the caller has already (RFC 9110, section 13)."""

from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Any, Final

from fastapi import Request, Response

from shared.errors import Invalid
from shared.resources.etag import OF_VERSION

_JSON: Final = "application/json"
_MAX_LENGTH: Final = 1024
_WHOLE: Final = frozenset({200, 201})
_READING: Final = frozenset({"GET", "HEAD"})
# What a 304 says of the answer that it stands for (section 15.4.5): what else there is describes the body.
_OF_UNCHANGED: Final = ("cache-control", "content-location", "etag", "expires", "location", "pragma", "vary")
_TAG: Final = {"description": "changes whenever the answer does", "schema": {"type": "string"}}
_PARAMETER: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "304 and no body where the `ETag` is still one of these",
    "schema": {"type": "string", "maxLength": _MAX_LENGTH},
}


def conditional(request: Request, response: Response) -> Response:
    """The answer with the tag of what it shows, or 304 where the caller of a read has told that tag.

    The version that `describe` told does not show what is counted or computed at each read, so the body has its part in
    the tag; `require_match` looks at the version alone. An answer that comes in pieces, or is no JSON, stays as it is.
    """
    is_read = request.method in _READING
    if not is_read and all(name != b"etag" for name, _ in response.raw_headers):  # `headers` makes an object
        return response
    body = getattr(response, "body", None)
    if response.status_code not in _WHOLE or body is None or response.headers.get("content-type") != _JSON:
        return response
    version = response.headers.get("etag")
    response.headers["etag"] = tag = _tag(version, body)
    told = request.headers.get("if-none-match") if is_read else None
    if told is None or not names(told, tag):
        return response
    kept = {name: response.headers[name] for name in _OF_UNCHANGED if name in response.headers}
    return Response(status_code=304, headers=kept)


def _tag(version: str | None, body: bytes) -> str:
    digest = urlsafe_b64encode(blake2b(body, digest_size=12).digest()).decode()
    return f'"{digest}"' if version is None else f'{version[:-1]}{OF_VERSION}{digest}"'


def names(told: str, tag: str) -> bool:
    """Whether an `If-None-Match` names the tag, by the weak comparison, which a read asks for.

    Raises Invalid for more than anybody needs.
    """
    if len(told) > _MAX_LENGTH:
        raise Invalid.field("header/If-None-Match", "string_too_long", f"must have at most {_MAX_LENGTH} characters")
    return told.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in told.split(",")]


def declare_conditional(operation: dict[str, Any]) -> None:
    """Into the document of a GET that answers JSON: the tag, and 304 for whoever tells it."""
    answer = operation["responses"].get("200", {})
    if _JSON not in answer.get("content", {}):
        return
    answer.setdefault("headers", {}).setdefault("ETag", _TAG)
    operation["responses"].setdefault("304", {"description": "Not Modified", "headers": {"ETag": _TAG}})
    parameters = operation.setdefault("parameters", [])
    if not any(one.get("name", "").lower() == "if-none-match" for one in parameters):
        parameters.append(_PARAMETER)
