"""What webhooks may be told, what becomes of a delivery, and when it is tried again."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from services.tasks.visibility import OF_THE_TENANT
from shared.words import Word

TEST: Final = "webhook.test"
"""The type of what is sent because somebody wants to see whether it arrives."""
MOST_ATTEMPTS_KEPT: Final = 50
"""Of one delivery, in its log; replays may make more."""
MOST_OLDER_SECRETS: Final = 4
LONGEST_URL: Final = 2048
"""Characters, also once it is encoded: what an index takes and what can be asked for."""
LONGEST_ANSWER: Final = 1024
"""Characters of a receiver's answer that are kept, and bytes that are read of it."""


class EventType(Word):
    """What a webhook is told of; `task.*` and `run.*` are all of their kind."""

    TASKS = "task.*"
    TASK_STARTED = "task.started"
    TASK_SUCCEEDED = "task.succeeded"
    TASK_FAILED = "task.failed"
    TASK_CANCELLED = "task.cancelled"
    TASK_EXPIRED = "task.expired"
    RUNS = "run.*"
    RUN_WAITING = "run.waiting"
    RUN_COMPLETED = "run.completed"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    WEBHOOK_DISABLED = "webhook.disabled"


class Covers(Word):
    """Of whose tasks and runs."""

    OWN = "own"
    TENANT = "tenant"


class DeliveryStatus(Word):
    """`pending` until it has arrived, or is not tried any more."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class AttemptError(Word):
    """Why an attempt is none that arrived, or why there is none."""

    ADDRESS_REFUSED = "address_refused"
    ANSWER_BROKEN = "answer_broken"
    BROKEN_OFF = "broken_off"
    DISABLED = "disabled"
    GONE = "gone"
    HOST_UNKNOWN = "host_unknown"
    NOT_REACHED = "not_reached"
    REDIRECTED = "redirected"
    SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105 - a word
    STATUS = "status"
    TIMEOUT = "timeout"
    URL_REFUSED = "url_refused"


GONE: Final = "tasks.webhook_gone"
FAILING: Final = "tasks.webhook_failing"
OVERFLOWED: Final = "tasks.webhook_overflowed"
WHY_DISABLED: Final = {
    GONE: "The receiver answered 410: it wants nothing more.",
    FAILING: "Every attempt has failed for days.",
    OVERFLOWED: "More deliveries wait for the receiver, or for all of the tenant's, than may.",
    "tasks.authority_ended": "What this webhook was last made, changed or enabled with no longer allows it.",
}
"""The codes under which the platform disables a webhook."""


def scopes_of(events: Iterable[str], covers: str) -> set[str]:
    """What reading those events oneself takes."""
    owners = {event.partition(".")[0] for event in events}
    scopes = {"tasks:read"} | ({"chat:read"} if "run" in owners else set())
    if covers == Covers.TENANT:
        scopes |= {OF_THE_TENANT} | ({"chat:tenant"} if "run" in owners else set())
    return scopes


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds between the attempts of a delivery; after the last one there is no other."""

    seconds: tuple[float, ...]
    longest: float = 86_400.0

    def after(self, failures: int, retry_after: float = 0.0) -> float | None:
        """Before the attempt that follows so many failures, the receiver's own wish honoured; None for no other."""
        if failures > len(self.seconds):
            return None
        return max(self.seconds[failures - 1], min(retry_after, self.longest))


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits for an enabled webhook."""

    webhook_id: str
    tenant_id: str
    count: int
    late: float
    """Seconds since the oldest of it was due; below 0 where none is due yet."""


def overflowing(found: Collection[Waiting], most: int, most_of_a_tenant: int) -> list[str]:
    """The webhooks for which more than `most` waits, and of a tenant for which too much waits still the fullest."""
    chosen = [one.webhook_id for one in found if one.count > most]
    left: dict[str, list[Waiting]] = {}
    for one in found:
        if one.count <= most:
            left.setdefault(one.tenant_id, []).append(one)
    for of_tenant in left.values():
        of_tenant.sort(key=lambda one: one.count)
        waiting = sum(one.count for one in of_tenant)
        while waiting > most_of_a_tenant:
            fullest = of_tenant.pop()
            waiting -= fullest.count
            chosen.append(fullest.webhook_id)
    return chosen


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process has to itself for a while, and where it goes."""

    id: str
    number: int
    """Of the claim, and so of the attempt."""
    failures: int
    event_id: str
    type: str
    at: datetime
    data: dict[str, Any]
    webhook_id: str
    url: str
    sealed: tuple[str, ...]
    """Its secrets that are valid, the newest first."""
    tenant_id: str
    user_id: str
    key_id: str | None
    session_id: str | None
    scopes: list[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request. `error` is None where it arrived."""

    at: datetime
    duration: timedelta
    status_code: int | None = None
    error: AttemptError | None = None
    detail: str | None = None
    answer: str | None = None
    retry_after: float = 0.0
    """Seconds that the receiver asked for."""

    @property
    def milliseconds(self) -> int:
        return self.duration // timedelta(milliseconds=1)
