"""Errors as answers: the body of one, and what a route declares of those it may raise."""

from typing import Any

from shared.errors.families import ServiceError
from shared.errors.problem import PROBLEM_JSON, PROBLEM_REF


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


def responses(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may raise `errors`.

    401, 403, 422, 429, 500, 503, 504 and 507 come from `shared.web`.
    """
    by_status: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        entry = by_status.setdefault(
            error.status, {"description": error.title, "content": {PROBLEM_JSON: {"schema": PROBLEM_REF}}}
        )
        if error.code not in entry["description"]:
            entry["description"] += f" · `{error.code}`"
    return by_status
