"""Which failures are worth another attempt."""

import pytest
from pydantic import ValidationError

from services.tasks.errors import PermanentFailure
from services.tasks.kinds.agent_run import AgentRunInput
from services.tasks.worker.failures import failure_of
from shared.errors import (
    FieldProblem,
    MissingScope,
    NotFound,
    RateLimited,
    Relayed,
    ServiceError,
    Unauthenticated,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)


def relayed(status: int, code: str = "some.code") -> Relayed:
    return Relayed(status, code, "Title", "What happened.")


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (Unavailable("vectors"), True),
        (UpstreamTimeout("chat"), True),
        (UpstreamFailed(), True),
        (Unauthenticated(), True),
        (RateLimited(), True),
        (relayed(503), True),
        (relayed(409, "common.idempotency_key_in_use"), True),
        (relayed(409), False),
        (relayed(422), False),
        (relayed(413), False),
        (NotFound(), False),
        (MissingScope("vectors:write"), False),
        (PermanentFailure("x.y", "No."), False),
        (KeyError("a bug"), True),
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, retryable: bool) -> None:
    assert failure_of(error).retryable is retryable


@pytest.mark.parametrize(
    ("error", "is_absence", "seconds"),
    [
        (Unavailable("vectors", retry_after_seconds=7), True, 7),
        (UpstreamTimeout("chat"), True, 0),
        (RateLimited(retry_after_seconds=30), True, 30),
        (Relayed(503, "a.b", "T", "D", headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), True, 0),
        (Relayed(503, "a.b", "T", "D", headers={"Retry-After": "999999"}), True, 3600),
        (UpstreamFailed(), False, 0),
        (Unauthenticated(), False, 0),
    ],
)
def test_what_was_away_is_told_apart(error: ServiceError, is_absence: bool, seconds: float) -> None:
    failure = failure_of(error)

    assert (failure.is_absence, failure.retry_after_seconds) == (is_absence, seconds)


def test_the_refused_fields_are_named() -> None:
    error = ServiceError("Bad.", errors=[FieldProblem(pointer="/items/0", code="x", detail="too long")])

    assert failure_of(error).detail == "Bad. (/items/0: too long)"


def test_an_unknown_exception_tells_nothing() -> None:
    assert "s3cret" not in failure_of(RuntimeError("s3cret")).detail


def test_an_input_that_no_longer_fits_is_permanent() -> None:
    with pytest.raises(ValidationError) as raised:
        AgentRunInput.model_validate({})

    assert failure_of(raised.value).code == "tasks.input_invalid"
