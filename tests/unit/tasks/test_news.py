"""Who follows is woken by what concerns them, and one who follows all tasks not by each."""

import pytest

from services.tasks.streams.news import Follower, TenantNews

NOW = 1000.0


def news(task_id: str, user_id: str) -> TenantNews:
    told = TenantNews()
    told.task_ids.add(task_id)
    told.user_ids.add(user_id)
    return told


async def is_woken(follower: Follower, by: TenantNews, now: float = NOW) -> bool:
    follower.arm()
    follower.tell(by, now)
    return await follower.wait(0)


@pytest.mark.parametrize(
    ("follower", "expected"),
    [
        (Follower("acme", None, "1"), True),
        (Follower("acme", None, "2"), False),
        (Follower("acme", "ada", None), True),
        (Follower("acme", "bob", None), False),
        (Follower("acme", None, None), True),
    ],
)
async def test_one_is_woken_by_what_concerns_them(follower: Follower, expected: bool) -> None:
    assert await is_woken(follower, news("1", "ada")) is expected
    assert not await is_woken(follower, TenantNews(), NOW + 60)


async def test_who_follows_all_tasks_is_woken_once_a_second_and_misses_nothing() -> None:
    follower = Follower("acme", "ada", None)

    woken = [
        await is_woken(follower, news("1", "ada")),
        await is_woken(follower, news("2", "ada"), NOW + 0.2),
        await is_woken(follower, TenantNews(), NOW + 0.9),
        await is_woken(follower, TenantNews(), NOW + 1.1),
        await is_woken(follower, TenantNews(), NOW + 2.2),
    ]

    assert woken == [True, False, False, True, False]
