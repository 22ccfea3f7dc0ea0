"""Who waits at the ends of streams, and what is told to other processes."""

from local.suite import Suite
from services.chat.runs.tails import Tails
from shared.redis import open_redis


async def test_whoever_stops_following_leaves_nothing_behind(suite: Suite) -> None:
    suite.up(["redis"])
    async with open_redis(suite.url("redis")) as redis:
        tails = Tails(redis, lambda _: None)
        with tails.at("a", 0), tails.at("a", 3), tails.at("b", 0):
            assert len(tails) == 2
        assert len(tails) == 0


async def test_one_who_has_read_further_wakes_the_others(suite: Suite) -> None:
    suite.up(["redis"])
    async with open_redis(suite.url("redis")) as redis:
        tails = Tails(redis, lambda _: None)
        with tails.at("a", 0) as behind, tails.at("a", 0) as ahead:
            behind.arm(0)
            ahead.arm(1)

            assert await behind.wait(5)
            assert not await ahead.wait(0)


async def test_a_cancel_that_cannot_be_told_is_done_all_the_same() -> None:
    async with open_redis("redis://127.0.0.1:1/0") as redis:
        await Tails(redis, lambda _: None).tell_cancelled("chat:inbox:x", "r")
