"""What may go wrong, and how a caller is told (RFC 9457)."""

from shared.errors.answers import problem_body
from shared.errors.dialect import PROBLEMS, Dialect, responses
from shared.errors.families import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    MissingScope,
    NotFound,
    OutOfTime,
    PreconditionFailed,
    RateLimited,
    Relayed,
    ServiceError,
    StorageFull,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from shared.errors.fields import field_problems
from shared.errors.problem import PROBLEM_JSON, PROBLEM_REF, FieldProblem, Problem

__all__ = [
    "PROBLEMS",
    "PROBLEM_JSON",
    "PROBLEM_REF",
    "BadRequest",
    "Conflict",
    "Dialect",
    "FieldProblem",
    "Forbidden",
    "Invalid",
    "MissingScope",
    "NotFound",
    "OutOfTime",
    "PreconditionFailed",
    "Problem",
    "RateLimited",
    "Relayed",
    "ServiceError",
    "StorageFull",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "UpstreamFailed",
    "UpstreamTimeout",
    "field_problems",
    "problem_body",
    "responses",
]
