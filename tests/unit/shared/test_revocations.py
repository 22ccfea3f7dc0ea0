"""The list of what was revoked: it covers what it says, as long as it must."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from shared.errors import Unavailable
from shared.identity import Changes, Revocation, RevocationFeed, Revocations, session_subject, user_subject
from tests.fixtures.patience import PATIENCE_SECONDS


@dataclass(frozen=True)
class Token:
    issued_at: float = 100.0
    revocation_subjects: tuple[str, ...] = (session_subject("s"), user_subject("u"))


def test_a_token_is_covered_by_any_of_its_subjects() -> None:
    revocations = Revocations(clock=lambda: 0)
    revocations.add(Revocation(1000, session_subject("s")))

    assert revocations.covers(Token())
    assert not revocations.covers(Token(revocation_subjects=(session_subject("other"),)))


@pytest.mark.parametrize(("issued_at", "is_covered"), [(99, True), (100, True), (101, False)])
def test_a_revocation_up_to_a_time_leaves_later_tokens_alone(issued_at: float, is_covered: bool) -> None:
    revocations = Revocations(clock=lambda: 0)
    revocations.add(Revocation(1000, user_subject("u"), issued_until=100))

    assert revocations.covers(Token(issued_at=issued_at)) is is_covered


def test_the_wider_of_two_revocations_holds_whichever_comes_last() -> None:
    revocations = Revocations(clock=lambda: 0)
    revocations.add(Revocation(1000, user_subject("u"), issued_until=200))
    revocations.add(Revocation(900, user_subject("u"), issued_until=50))

    assert revocations.covers(Token(issued_at=150))


def test_what_can_concern_no_token_any_more_is_forgotten() -> None:
    now = [0.0]
    revocations = Revocations(clock=lambda: now[0])
    for number in range(1000):
        revocations.add(Revocation(100, session_subject(str(number))))
    now[0] = 101.0
    revocations.add(Revocation(200, session_subject("s")))

    assert len(revocations) == 1


@dataclass
class Source:
    """auth, as a process that follows it sees it."""

    answers: list[Changes | Unavailable]
    asked: list[float] = field(default_factory=list)
    learned: list[list[str]] = field(default_factory=list)

    async def changes(self, since: float) -> Changes:
        self.asked.append(since)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    async def learn(self, key_ids: Sequence[str]) -> None:
        self.learned.append(list(key_ids))


async def test_a_process_that_never_heard_the_list_verifies_nobody() -> None:
    source = Source([Unavailable("auth")])

    with pytest.raises(Unavailable):
        await RevocationFeed(source, source).current()


async def test_an_event_has_the_list_asked_for_at_once() -> None:
    revoked = Changes(5000.0, [Revocation(2**40, session_subject("s"))], ["k2"])
    source = Source([Changes(4000.0, [], ["k1"]), revoked])
    feed = RevocationFeed(source, source)
    following = asyncio.create_task(feed.run())
    assert not (await feed.current()).covers(Token())

    feed.wake()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not feed.revocations.covers(Token()):  # noqa: ASYNC110 - the feed has no event of its own
            await asyncio.sleep(0)
    following.cancel()

    assert source.learned[-1] == ["k2"]
    assert source.asked[:2] == [0.0, 3940.0]  # the second time with an overlap: commits are later than their times


async def test_what_is_known_goes_on_to_hold_while_auth_is_away() -> None:
    source = Source([Changes(1.0, [Revocation(2**40, session_subject("s"))], []), Unavailable("auth")])
    feed = RevocationFeed(source, source)
    await feed.current()
    following = asyncio.create_task(feed.run())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(source.asked) < 2:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    following.cancel()

    assert (await feed.current()).covers(Token())


async def test_the_first_look_at_a_new_process_hears_auth() -> None:
    """Nothing has run yet but the look itself: whether auth answers decides, not how long the process is there."""
    answering = Source([Changes(time.time(), [], [])])
    await RevocationFeed(answering, answering).ping()

    away = Source([Unavailable("auth")])
    with pytest.raises(Unavailable):
        await RevocationFeed(away, away).ping()


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
async def test_a_clock_that_jumped_is_told_and_all_is_asked_for_again(jump: float) -> None:
    source = Source([Changes(time.time(), [], [])])
    feed = RevocationFeed(source, source)
    await feed.ping()

    began = time.monotonic()
    source.answers = [Changes(time.time() + jump, [], [])]
    following = asyncio.create_task(feed.run())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(source.asked) < 3:  # noqa: ASYNC110 - the feed has no event of its own
            await asyncio.sleep(0)
    following.cancel()

    assert source.asked[0] == source.asked[2] == 0.0 < source.asked[1]
    with pytest.raises(Unavailable) as told:
        await feed.ping()
    [seconds] = re.findall(r"differ by (\d+) s", told.value.detail)
    assert abs(int(seconds) - 3600) <= 1 + time.monotonic() - began
