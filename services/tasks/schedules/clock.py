"""When a schedule is due: the moments of a cron expression in a time zone, and which of those missed are made up for.

What has a fixed time of day comes once for each day, whatever the clocks do: at a time that is left out in spring, it
comes when they have gone on; at one that is there twice in autumn, the first time. What steps through hours or minutes
(`*`) goes by the time that passes, as Debian's cron has it.
"""

import zoneinfo
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, NamedTuple

from cronsim import CronSim, CronSimError

from services.tasks.errors import CronInvalid, CronNever, TimeZoneUnknown
from shared.words import Word

MOST_CAUGHT_UP: Final = 100
"""Of the moments that were missed, as many are made up for at once."""
_ON_TIME: Final = timedelta(seconds=60)
_STEP: Final = timedelta(minutes=1)  # between two moments at least
_FIELDS: Final = 5
_MONTH, _DAY = 3, 2
_MOST_LOOKED_AT: Final = 10_000
_LATELY: Final = timedelta(days=6)  # fewer minutes than are looked at, more moments than are made up for


class CatchUp(Word):
    """What is done about moments at which nobody was there to see to them."""

    NONE = "none"
    ONE = "one"
    ALL = "all"


class Due(NamedTuple):
    """Which moments are to be made into tasks, and when the schedule is due again; None when it is over."""

    moments: list[datetime]
    next_at: datetime | None


def moments(cron: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """In UTC, each later than the one before and than `after`. Raises CronInvalid, CronNever, TimeZoneUnknown.

    It reads a file of the time zone, and looks through 50 years for what never comes: not for the event loop.
    """
    zone = _zone(time_zone)
    last = after
    for moment in _simulated(cron, after.astimezone(zone)):
        found = moment.astimezone(UTC)
        if found > last:  # an hour that is there twice is gone back to
            last = found
            yield found


def first_after(cron: str, time_zone: str, after: datetime) -> datetime:
    """Raises CronInvalid, CronNever, TimeZoneUnknown."""
    for moment in moments(cron, time_zone, after):
        return moment
    raise CronNever


def due(
    cron: str, time_zone: str, catch_up: CatchUp, since: datetime, now: datetime, ends_at: datetime | None = None
) -> Due:
    """Of the moments from `since`, itself one, to `now`, those that `catch_up` wants; raises as `moments`."""
    until = min(now, ends_at) if ends_at else now
    newest: deque[datetime] = deque([since], maxlen=MOST_CAUGHT_UP)
    next_at = None
    for looked_at, moment in enumerate(moments(cron, time_zone, since)):
        if moment > until:
            next_at = None if ends_at and moment > ends_at else moment
            break
        if looked_at >= _MOST_LOOKED_AT:
            last = _last_before(cron, time_zone, moment, until)
            lately = first_after(cron, time_zone, last - _LATELY)
            return due(cron, time_zone, catch_up, lately, now, ends_at)
        newest.append(moment)
    return Due(_wanted(list(newest), catch_up, now), next_at)


def _last_before(cron: str, time_zone: str, moment: datetime, until: datetime) -> datetime:
    """The last moment up to `until`, `moment` being one: long ago where they are all on one day of a month."""
    none_after = until
    while none_after - moment >= _STEP:
        middle = moment + (none_after - moment) / 2
        found = first_after(cron, time_zone, middle)
        if found <= until:
            moment = found
        else:
            none_after = middle
    return moment


def _wanted(missed: list[datetime], catch_up: CatchUp, now: datetime) -> list[datetime]:
    match catch_up:
        case CatchUp.ALL:
            return missed
        case CatchUp.ONE:
            return missed[-1:]
        case CatchUp.NONE:
            return [moment for moment in missed[-1:] if moment >= now - _ON_TIME]


def _simulated(cron: str, after: datetime) -> CronSim:
    if len(cron.split()) != _FIELDS:
        raise CronInvalid("It must have five fields: minute, hour, day of the month, month, day of the week.")
    try:
        return CronSim(cron, after)
    except CronSimError as error:
        if _is_a_day_of_no_month(cron, after):
            raise CronNever from error
        raise CronInvalid(f"{error}.") from error


def _is_a_day_of_no_month(cron: str, after: datetime) -> bool:
    """Whether it is like the 30th of February: right but for its month."""
    fields = cron.split()
    try:
        CronSim(" ".join([*fields[:_MONTH], "*", *fields[_MONTH + 1 :]]), after)
        CronSim(" ".join([*fields[:_DAY], "1", *fields[_DAY + 1 :]]), after)
    except CronSimError:
        return False
    return True


def _zone(name: str) -> zoneinfo.ZoneInfo:
    if name not in _names():
        raise TimeZoneUnknown(name)
    return zoneinfo.ZoneInfo(name)


@cache
def _names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
