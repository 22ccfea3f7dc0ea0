"""How a route words its errors, and declares them: problem+json, unless what it speaks has a wording of its own."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol

from shared.errors.answers import problem_body
from shared.errors.families import ServiceError
from shared.errors.problem import PROBLEM_JSON, PROBLEM_REF, Problem


class Dialect(Protocol):
    """What every answer of a route has that speaks so, whoever writes the answer: the door, a service, the edge."""

    @property
    def media_type(self) -> str:
        """Of errors."""

    @property
    def reference(self) -> Mapping[str, Any]:
        """The schema of an error, for the document of a route."""

    @property
    def schemas(self) -> Mapping[str, Any]:
        """What `reference` leads to, by its name."""

    def status_of(self, status: int) -> int:
        """The status that stands for `status` here."""

    def body(self, error: ServiceError, *, instance: str, trace_id: str) -> dict[str, Any]:
        """The members of an error for one request."""

    def fields(self, scope: Mapping[str, Any], seconds: float) -> Sequence[tuple[bytes, bytes]]:
        """Headers beside those that every answer has, `seconds` after the request came."""


class _Problems:
    """RFC 9457."""

    media_type, reference = PROBLEM_JSON, PROBLEM_REF

    @property
    def schemas(self) -> Mapping[str, Any]:
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        return {**problem.pop("$defs", {}), "Problem": problem}

    def status_of(self, status: int) -> int:
        return status

    def body(self, error: ServiceError, *, instance: str, trace_id: str) -> dict[str, Any]:
        return problem_body(error, instance=instance, trace_id=trace_id)

    def fields(self, scope: Mapping[str, Any], seconds: float) -> Sequence[tuple[bytes, bytes]]:  # noqa: ARG002
        return ()


PROBLEMS: Final[Dialect] = _Problems()


def responses(*errors: type[ServiceError], dialect: Dialect = PROBLEMS) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that speaks `dialect` and may raise `errors`.

    Those that any route may answer (400 or 422, 401, 403, 429, 500, 503, 504 and 507) come from `shared.web`.
    """
    by_status: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        status = dialect.status_of(error.status)
        title = error.title if status == error.status else HTTPStatus(status).phrase
        content = {dialect.media_type: {"schema": dialect.reference}}
        entry = by_status.setdefault(status, {"description": title, "content": content})
        if error.code not in entry["description"]:
            entry["description"] += f" · `{error.code}`"
    return by_status
