"""Errors as OpenAI's clients read them, and the headers by which they pace themselves.

    {"error": {"message": "model: Field required", "type": "invalid_request_error", "param": "model",
               "code": "common.invalid"}}

`code` is ours and stable, as in problem+json. A client makes its exception of the status, so a body that is not valid
is 400 here; all other statuses are the same as everywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import Dialect, ServiceError, responses
from shared.limits import REQUESTS, quotas_of
from shared.openai.params import param_of, told

_JSON: Final = "application/json"
_BAD_REQUEST: Final = 400
_REFERENCE: Final = {"$ref": "#/components/schemas/OpenAIError"}
_STATUSES: Final = {422: _BAD_REQUEST}
_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_UNITS: Final = (REQUESTS, "tokens")


class OpenAIErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str = Field(description="the family: `invalid_request_error`, `not_found_error`, `server_error`, …")
    param: str | None = Field(description="the first field to blame, such as `messages[0].content`")
    code: str = Field(description="stable, safe to branch on (docs/errors.md)")


class OpenAIError(BaseModel):
    """The body of every error answer of operations in OpenAI's shapes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "message": "model: Field required",
                        "type": "invalid_request_error",
                        "param": "model",
                        "code": "common.invalid",
                    }
                }
            ]
        }
    )

    error: OpenAIErrorDetail


def error_object(error: ServiceError) -> dict[str, Any]:
    """What stands under `error`; also in a stream that breaks off."""
    status = OPENAI.status_of(error.status)
    return {
        "message": told(error.detail, error.errors),
        "type": _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),
        "param": next((param_of(one.pointer) for one in error.errors), None),
        "code": error.code,
    }


class _OpenAI:
    media_type, reference = _JSON, _REFERENCE

    @property
    def schemas(self) -> Mapping[str, Any]:
        schema = OpenAIError.model_json_schema(ref_template="#/components/schemas/{model}")
        return {**schema.pop("$defs", {}), "OpenAIError": schema}

    def status_of(self, status: int) -> int:
        return _STATUSES.get(status, status)

    def body(self, error: ServiceError, *, instance: str, trace_id: str) -> dict[str, Any]:  # noqa: ARG002 - a header
        return {"error": error_object(error)}

    def fields(self, scope: Mapping[str, Any], seconds: float) -> Sequence[tuple[bytes, bytes]]:
        took = (b"openai-processing-ms", b"%d" % round(seconds * 1000))
        return [took, *_paces(scope)]


def _paces(scope: Mapping[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """Of each unit the limit that is nearest: these fields tell of one only."""
    quotas = quotas_of(scope)
    for unit in _UNITS:
        nearest = min((one for one in quotas if one.unit == unit), key=lambda one: one.remaining, default=None)
        if nearest is not None:
            name = unit.encode()
            yield b"x-ratelimit-limit-" + name, b"%d" % nearest.most
            yield b"x-ratelimit-remaining-" + name, b"%d" % nearest.remaining
            yield b"x-ratelimit-reset-" + name, b"%ds" % nearest.resets_in_seconds


OPENAI: Final[Dialect] = _OpenAI()


def openai_responses(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of an `OpenAIRoute` that may raise `errors`."""
    return responses(*errors, dialect=OPENAI)
