"""An error as an answer."""

from typing import Any

from shared.errors.families import ServiceError


def problem_body(error: ServiceError, *, instance: str, trace_id: str) -> dict[str, Any]:
    """The problem+json members of `error` for one request."""
    body: dict[str, Any] = {
        "type": f"/docs/errors#{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "instance": instance,
        "trace_id": trace_id,
        **error.members,
    }
    if error.errors:
        body["errors"] = [problem.model_dump() for problem in error.errors]
    return body
