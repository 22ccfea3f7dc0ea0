"""When a schedule is due: over the changes of the clocks, and what is made up for."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from services.tasks.errors import CronInvalid, CronNever, TimeZoneUnknown
from services.tasks.schedules.clock import CatchUp, due, first_after, moments


def local(cron: str, zone: str, after: str, count: int) -> list[str]:
    """The next moments as a clock there shows them, with the distance to UTC."""
    began = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone))
    found = islice(moments(cron, zone, began.astimezone(UTC)), count)
    return [moment.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z") for moment in found]


@pytest.mark.parametrize(
    ("zone", "cron", "after", "expected"),
    [
        # Spring: 02:30 is left out on that day, and made good when the clocks have gone on.
        ("Europe/Berlin", "30 2 * * *", "2026-03-28 00:00", ["28 02:30 +0100", "29 03:00 +0200", "30 02:30 +0200"]),
        ("America/New_York", "30 2 * * *", "2026-03-07 00:00", ["07 02:30 -0500", "08 03:00 -0400", "09 02:30 -0400"]),
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            "2026-10-03 00:00",
            ["03 02:15 +1030", "04 02:30 +1100", "05 02:15 +1100"],
        ),
        # Autumn: what is there twice comes the first time only.
        ("Europe/Berlin", "30 2 * * *", "2026-10-24 00:00", ["24 02:30 +0200", "25 02:30 +0200", "26 02:30 +0100"]),
        ("America/New_York", "30 1 * * *", "2026-10-31 00:00", ["31 01:30 -0400", "01 01:30 -0400", "02 01:30 -0500"]),
        (
            "Australia/Lord_Howe",
            "45 1 * * *",
            "2026-04-04 00:00",
            ["04 01:45 +1100", "05 01:45 +1100", "06 01:45 +1030"],
        ),
        # What steps through the hours goes by the time that passes.
        ("Europe/Berlin", "0 * * * *", "2026-10-25 01:30", ["25 02:00 +0200", "25 02:00 +0100", "25 03:00 +0100"]),
        ("Europe/Berlin", "0 * * * *", "2026-03-29 00:30", ["29 01:00 +0100", "29 03:00 +0200", "29 04:00 +0200"]),
        # Two times in the hour that is left out are one moment.
        ("Europe/Berlin", "0,30 2 * * *", "2026-03-29 00:00", ["29 03:00 +0200", "30 02:00 +0200", "30 02:30 +0200"]),
        ("Asia/Kathmandu", "0 7 * * MON#1", "2026-11-01 00:00", ["02 07:00 +0545", "07 07:00 +0545"]),
    ],
)
def test_each_local_time_comes_once(zone: str, cron: str, after: str, expected: list[str]) -> None:
    assert local(cron, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("zone", "cron", "year"),
    [
        ("Europe/Berlin", "30 2 * * *", 2026),
        ("America/New_York", "30 1 * * *", 2026),
        ("Australia/Lord_Howe", "45 1 * * *", 2026),
    ],
)
def test_looked_at_from_any_moment_a_day_has_one(zone: str, cron: str, year: int) -> None:
    """As the worker goes on: from each moment anew, also from within the hour that is there twice."""
    moment, days = datetime(year, 1, 1, tzinfo=UTC), []
    while (moment := first_after(cron, zone, moment)).year == year:
        days.append(moment.astimezone(ZoneInfo(zone)).date())
        assert first_after(cron, zone, moment + timedelta(minutes=45)) > moment + timedelta(hours=20)

    assert len(days) == len(set(days))
    assert len(days) in (365, 366)


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 31 4,6 *", "0 0 30 2 */2"])
def test_what_never_comes_is_refused(cron: str) -> None:
    with pytest.raises(CronNever):
        first_after(cron, "UTC", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "cron", ["", "x", "* * * *", "0 0 0 0 0 0", "* * * * * *", "60 0 * * *", "0 0 99 2 *", "@daily"]
)
def test_what_is_no_cron_is_refused(cron: str) -> None:
    with pytest.raises(CronInvalid):
        first_after(cron, "UTC", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "", "europe/berlin"])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(TimeZoneUnknown):
        first_after("* * * * *", name, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(("catch_up", "expected"), [(CatchUp.NONE, 0), (CatchUp.ONE, 1), (CatchUp.ALL, 49)])
def test_what_was_missed_is_made_up_for_as_wanted(catch_up: CatchUp, expected: int) -> None:
    since, now = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, 0, 30, tzinfo=UTC)

    found = due("0 * * * *", "UTC", catch_up, since, now)

    assert (len(found.moments), found.next_at) == (expected, datetime(2026, 1, 3, 1, tzinfo=UTC))
    assert not found.moments or found.moments[-1] == datetime(2026, 1, 3, tzinfo=UTC)


def test_of_a_year_of_minutes_the_latest_hundred_are_made_up_for() -> None:
    since, now = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)

    found = due("* * * * *", "UTC", CatchUp.ALL, since, now)

    assert (len(found.moments), found.moments[-1], found.next_at) == (100, now, now + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("cron", "last", "next_at"),
    [
        ("* * 1 * *", datetime(2026, 11, 1, 23, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        ("* * 1-12 * *", datetime(2026, 11, 12, 23, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        ("* * 28 11 *", datetime(2026, 11, 28, 6, tzinfo=UTC), datetime(2026, 11, 28, 6, 1, tzinfo=UTC)),
    ],
)
def test_of_very_many_moments_the_latest_are_made_up_for_though_they_are_long_ago(
    cron: str, last: datetime, next_at: datetime
) -> None:
    now = datetime(2026, 11, 28, 6, tzinfo=UTC)
    since = first_after(cron, "UTC", now - timedelta(days=20 * 366))

    found = due(cron, "UTC", CatchUp.ALL, since, now)

    assert found.moments[-1] == last
    assert len(found.moments) == 100
    assert found.next_at == next_at
    assert due(cron, "UTC", CatchUp.ONE, since, now, last) == ([last], None)


@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_a_moment_that_is_met_is_never_left_out(catch_up: CatchUp) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)

    assert due("0 0 1 * *", "UTC", catch_up, since, since + timedelta(seconds=2)).moments == [since]
