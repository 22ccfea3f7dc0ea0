"""Who gets the places of a kind: whoever has fewest, and a thousand of one owner keep nobody waiting."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from services.tasks.worker.kind_places import Waiter, fairest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def waiter(name: str, tenant: str = "a", user: str = "u", priority: str = "normal", minute: int = 0) -> Waiter:
    return Waiter(name, tenant, user, priority, NOON + timedelta(minutes=minute))


def test_places_are_shared_by_tenants_whatever_they_have_waiting() -> None:
    many = [waiter(f"a{number}", "a", minute=number) for number in range(100)]
    few = [waiter(f"b{number}", "b", minute=200 + number) for number in range(3)]

    chosen = fairest([*many, *few], [], 6)

    assert Counter(name[0] for name in chosen) == {"a": 3, "b": 3}


def test_what_runs_counts() -> None:
    waiting = [waiter("a0", "a"), waiter("b0", "b", minute=1), waiter("a1", "a", minute=2)]

    assert fairest(waiting, [("a", "u"), ("a", "u")], 2) == ["b0", "a0"]


def test_a_tenants_places_are_shared_by_its_users() -> None:
    many = [waiter(f"u{number}", user="u", minute=number) for number in range(50)]

    assert "v0" in fairest([*many, waiter("v0", user="v", minute=99)], [], 2)
    assert fairest([*many, waiter("v0", user="v", minute=99)], [("a", "u")], 1) == ["v0"]


def test_of_one_user_the_highest_priority_is_first_and_then_the_oldest() -> None:
    waiting = [
        waiter("low", priority="low"),
        waiter("young", minute=5),
        waiter("old", minute=1),
        waiter("high", "a", "u", "high", 9),
    ]

    assert fairest(waiting, [], 4) == ["high", "old", "young", "low"]


def test_no_more_are_chosen_than_there_are_places() -> None:
    assert len(fairest([waiter(str(number), str(number)) for number in range(10)], [], 4)) == 4
    assert fairest([], [], 4) == []


def test_among_equals_each_has_its_turn() -> None:
    waiting = [waiter(name, name) for name in "abc"]

    assert {fairest(waiting, [], 1)[0] for _ in range(200)} == {"a", "b", "c"}
