"""Schedules on the wire."""

from typing import Annotated, Any

import orjson
from pydantic import MISSING, Field

from services.tasks.domain import Priority
from services.tasks.models import Schedule
from services.tasks.schedules.clock import CatchUp
from services.tasks.schemas import KindName, TaskFailure
from shared.schemas import Id, LargeModel, Moment, ResponseModel, Text, UtcDatetime

Name = Annotated[
    Text,
    Field(min_length=1, max_length=200, pattern=r"\S", description="for people", examples=["every morning"]),
]
Input = Annotated[
    dict[str, Any],
    Field(description="of each task; what the kind asks for", examples=[{"text": "good morning"}]),
]
Cron = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=200,
        description="minute, hour, day of the month, month, day of the week, as Debian's cron reads them; "
        "`L` is a month's last day, `MON#1` its first Monday",
        examples=["0 7 * * MON-FRI"],
    ),
]
TimeZone = Annotated[
    Text,
    Field(min_length=1, max_length=64, description="of the IANA database", examples=["Europe/Berlin"]),
]
CatchUpField = Annotated[
    CatchUp,
    Field(
        description="of moments at which no worker was there: none (but for one a minute ago), the latest, or the "
        "latest hundred",
        examples=["one"],
    ),
]
Jitter = Annotated[
    int,
    Field(ge=0, le=3600, description="each task starts up to so much later, by chance", examples=[30]),
]
EndsAt = Annotated[Moment, Field(description="no moment after this counts", examples=["2999-01-01T00:00:00Z"])]


class ScheduleCreate(LargeModel):
    """A task that comes again by the clock."""

    name: Name
    kind: KindName
    input: Input = Field(default_factory=dict)
    priority: Priority = Field(default=Priority.NORMAL, examples=["normal"])
    cron: Cron
    time_zone: TimeZone = "UTC"
    catch_up: CatchUpField = CatchUp.ONE
    jitter_seconds: Jitter = 0
    is_paused: bool = Field(default=False, description="whether to wait until it is resumed")
    ends_at: EndsAt | None = None


class ScheduleUpdate(LargeModel):
    """The fields to replace; the others stay. `null` clears `ends_at`."""

    name: Name | MISSING = MISSING
    input: Input | MISSING = MISSING
    priority: Priority | MISSING = MISSING
    cron: Cron | MISSING = MISSING
    time_zone: TimeZone | MISSING = MISSING
    catch_up: CatchUpField | MISSING = MISSING
    jitter_seconds: Jitter | MISSING = MISSING
    ends_at: EndsAt | MISSING | None = MISSING


class ScheduleSummary(ResponseModel):
    """A schedule without the input of its tasks, which may be large."""

    id: Id
    name: str
    kind: str
    priority: Priority
    cron: str
    time_zone: str
    catch_up: CatchUp
    jitter_seconds: int
    is_paused: bool
    error: TaskFailure | None = Field(description="why it paused by itself; null where a person paused it")
    ends_at: UtcDatetime | None
    next_at: UtcDatetime | None = Field(description="when it is due next; null when it is over")
    version: int = Field(description="rises with every change")
    created_at: UtcDatetime

    @classmethod
    def of(cls, schedule: Schedule) -> "ScheduleSummary":
        return cls(**_shown(schedule))


class ScheduleRead(ScheduleSummary):
    """A schedule."""

    input: dict[str, Any]

    @classmethod
    def of(cls, schedule: Schedule) -> "ScheduleRead":
        return cls(**_shown(schedule), input=orjson.loads(schedule.input))


def _shown(schedule: Schedule) -> dict[str, Any]:
    error = None
    if schedule.error_code:
        error = TaskFailure(code=schedule.error_code, detail=schedule.error_detail or "")
    names = ScheduleSummary.model_fields.keys() - {"error"}
    return {name: getattr(schedule, name) for name in names} | {"error": error}
