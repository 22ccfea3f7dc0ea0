"""What a definition of a tool may not say, beyond what its types tell: each check answers with what it was given.

Each raises PydanticCustomError, whose code and text the caller reads.
"""

import re
from typing import Any, Final

import orjson
from pydantic_core import PydanticCustomError

from services.agents.tools.domain import RESERVED, secrets_in, with_secrets, without_secrets
from services.agents.tools.templates import UrlTemplate
from shared.json_schema import JsonSchema, SchemaRefused
from shared.outbound import RequestRefused, require_header, require_url

_MOST_SCHEMA_BYTES: Final = 16 * 1024
_MOST_SECRETS: Final = 16
"""Of one tool, each written in two dozen ways and looked for in whatever it answers."""
# Callers who may read a tool would read these; a secret they do not.
_CREDENTIALS: Final = frozenset({"authorization", "x-api-key", "api-key"})
# NUL stands for a secret, and nothing else does: no header has one. A scheme or a parameter's name may come before it.
_SECRETS_ONLY: Final = re.compile(r'(?:[A-Za-z-]{1,20} +)?(?:[A-Za-z_-]{1,20}=)?("?)\0(?:[.:]?\0)*\1')


def refused(code: str, detail: str) -> PydanticCustomError:
    """The error, to be raised."""
    return PydanticCustomError(code, "{detail}", {"detail": detail})


def schema_of_objects(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema that a model can be held to: its arguments are an object."""
    try:
        size = len(orjson.dumps(schema))
    except TypeError as error:
        raise refused("json_schema", "must have no integer beyond 64 bits, and no more than 200 levels") from error
    if size > _MOST_SCHEMA_BYTES:
        raise refused("json_schema", f"must have at most {_MOST_SCHEMA_BYTES} bytes")
    if schema.get("type") != "object" or not isinstance(schema.get("properties", {}), dict):
        raise refused("json_schema", "must be a schema of `type` object")
    try:
        JsonSchema(schema)
    except SchemaRefused as error:
        raise refused("json_schema", error.detail) from error
    return schema


def unreserved_name(name: str) -> str:
    """A name under which no agent finds what is built in."""
    if name in RESERVED:
        raise refused("tool_name_reserved", f"{name!r} is the first part of a built-in tool's name")
    return name


def sendable_headers(headers: dict[str, str]) -> dict[str, str]:
    """Headers of HTTP, with what looks like a secret being one, and credentials nothing else."""
    for name, text in headers.items():
        try:
            require_header(name, with_secrets(text, dict.fromkeys(secrets_in(text), "x")))
        except RequestRefused as error:
            raise refused("header_refused", error.detail) from error
        beside = without_secrets(text)
        if "${" in beside:
            raise refused(
                "secret_malformed", f"{name} must name its secret as ${{secret:NAME}}, in letters, digits and _"
            )
        if name.lower() in _CREDENTIALS and not _SECRETS_ONLY.fullmatch(beside):
            raise refused(
                "credential_in_the_open", f"{name} must be a secret, as ${{secret:NAME}}, after its scheme only"
            )
    if len({name for text in headers.values() for name in secrets_in(text)}) > _MOST_SECRETS:
        raise refused("too_many_secrets", f"must name {_MOST_SECRETS} secrets at most")
    if len({name.lower() for name in headers}) != len(headers):
        raise refused("duplicate_items", "must not name any header twice")
    return headers


def fillable_url(url: str) -> str:
    """A template, which never leads to another host."""
    try:
        require_url(UrlTemplate(url).sample)
    except ValueError as error:
        raise refused("url_refused", str(error)) from error
    except RequestRefused as error:
        raise refused("url_refused", error.detail) from error
    return url


def plain_url(url: str) -> str:
    """An address, as it is."""
    if set("{}") & set(url):
        raise refused("url_refused", "a server's URL has no placeholders")
    try:
        require_url(url)
    except RequestRefused as error:
        raise refused("url_refused", error.detail) from error
    return url
