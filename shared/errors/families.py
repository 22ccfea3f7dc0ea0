"""The errors a service may raise, and the one place where they become problem+json (RFC 9457).

    ServiceError
    ├── BadRequest 400
    ├── Unauthenticated 401
    ├── Forbidden 403
    ├── NotFound 404
    ├── Conflict 409
    ├── PreconditionFailed 412
    ├── TooLarge 413
    ├── Invalid 422
    ├── RateLimited 429            Retry-After
    ├── UpstreamFailed 502
    ├── Unavailable 503            Retry-After
    │   └── StorageFull 507        Retry-After
    └── UpstreamTimeout 504

A service subclasses a family and gives it a stable `code`, and a `meaning` for API readers. The code is the contract,
never the class name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors.problem import FieldProblem


class ServiceError(Exception):
    """Root of everything a service raises on purpose. `detail` is shown to the caller: never put a secret in it."""

    status: int = 500
    code: str = "common.internal"
    meaning: str = "A fault on our side; the logs under the `trace_id` say which."
    """What the code says, for the page that `type` leads to (docs/errors.md)."""
    title: str = "Internal Server Error"
    default_detail: str = "Something went wrong on our side."
    keeps_effects: bool = False
    """Whether what the request wrote before this was raised is committed (a counted failure, a revoked family)."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        at: tuple[str, str] | None = None,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """`at`: where one field is to blame, its pointer and what is wrong with it, as a code."""
        self.detail = detail or self.default_detail
        blamed = [FieldProblem(pointer=at[0], code=at[1], detail=self.detail)] if at else []
        self.errors = [*blamed, *errors]
        self.headers = dict(headers or {})
        self.members = dict(members or {})  # extension members of the problem, such as OAuth's `error`
        super().__init__(self.detail)


class BadRequest(ServiceError):
    """For what a protocol above ours calls bad; a body that is not valid is `Invalid`."""

    status, code, title = 400, "common.bad_request", "Bad Request"
    meaning = "The request is not one that HTTP or this API allows in this form."
    default_detail = "The request is not one that this API allows in this form."


class Unauthenticated(ServiceError):
    status, code, title = 401, "common.unauthenticated", "Unauthorized"
    meaning = "There is no bearer token or API key, or it is malformed, expired or revoked."
    default_detail = "A valid bearer token or API key is required."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="sutazai"'})


class Forbidden(ServiceError):
    status, code, title = 403, "common.forbidden", "Forbidden"
    meaning = "The caller is known and may not do this."
    default_detail = "The caller may not do this."


class MissingScope(Forbidden):
    """The caller is known but its token lacks the scope the operation declares."""

    code = "common.missing_scope"
    meaning = "The token lacks the scope that the operation declares; `WWW-Authenticate` names it."

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"This operation needs the scope {scope!r}.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
        )


class NotFound(ServiceError):
    status, code, title = 404, "common.not_found", "Not Found"
    meaning = "The resource does not exist, or it belongs to another tenant: the two are not told apart."
    default_detail = "There is no such resource."


class Conflict(ServiceError):
    status, code, title = 409, "common.conflict", "Conflict"
    meaning = "The request contradicts the present state of the resource."
    default_detail = "The request conflicts with the present state."


class PreconditionFailed(ServiceError):
    status, code, title = 412, "common.precondition_failed", "Precondition Failed"
    meaning = "The resource has changed since the `ETag` in `If-Match` was read: read it again."
    default_detail = "The resource has changed since it was read."


class TooLarge(ServiceError):
    status, code, title = 413, "common.too_large", "Content Too Large"
    meaning = "The body is larger than the operation takes."
    default_detail = "The request body is larger than allowed."


class Invalid(ServiceError):
    status, code, title = 422, "common.invalid", "Unprocessable Content"
    meaning = "A field is unknown, missing or out of bounds; `errors` says which and why."
    default_detail = "The request is not valid."

    @classmethod
    def field(cls, pointer: str, code: str, detail: str) -> "Invalid":
        """A refusal of one field that only the service could judge."""
        return cls(detail, at=(pointer, code))


class RateLimited(ServiceError):
    status, code, title = 429, "common.rate_limited", "Too Many Requests"
    meaning = "Too many requests; `Retry-After` says when to come again."
    default_detail = "Too many requests."

    def __init__(self, detail: str | None = None, *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)})


class UpstreamFailed(ServiceError):
    status, code, title = 502, "common.upstream_failed", "Bad Gateway"
    meaning = "A service that the answer depends on failed or gave an answer that makes no sense."
    default_detail = "A service this one depends on gave an invalid answer."


class Unavailable(ServiceError):
    """A dependency is down; the call may be tried again. `component` is named to the caller, its error is not."""

    status, code, title = 503, "common.unavailable", "Service Unavailable"
    meaning = "A service or store that `detail` names cannot be reached; nothing was changed."

    def __init__(self, component: str, *, retry_after_seconds: int = 2, detail: str | None = None) -> None:
        self.component = component
        super().__init__(
            detail or f"{component} is not available right now.", headers={"Retry-After": str(retry_after_seconds)}
        )


class StorageFull(Unavailable):
    """A disk is full, or nearly: as any dependency that is away, but for its code. `component` is what has no room."""

    status, code, title = 507, "common.storage_full", "Insufficient Storage"
    meaning = (
        "The disk is full or nearly so, and nothing was written; reading and deleting go on, writing once it is free."
    )

    def __init__(self, component: str = "storage") -> None:
        super().__init__(component, retry_after_seconds=10, detail=f"{component} has no room to write now.")


class UpstreamTimeout(ServiceError):
    status, code, title = 504, "common.upstream_timeout", "Gateway Timeout"
    meaning = "A service that the answer depends on did not answer in time."

    def __init__(self, component: str) -> None:
        self.component = component
        super().__init__(f"{component} did not answer in time.")


class OutOfTime(ServiceError):
    """The request is older than it may become, or than its caller waits."""

    status, code, title = 504, "common.out_of_time", "Gateway Timeout"
    meaning = "The request took longer than it may, or its caller had no time left; whether it took effect is open."
    default_detail = "The request took too long."


class Relayed(ServiceError):
    """An error another service decided, passed on with its own status and code."""

    def __init__(self, status: int, code: str, title: str, detail: str, **kwargs: Any) -> None:
        super().__init__(detail, **kwargs)
        self.status, self.code, self.title = status, code, title
