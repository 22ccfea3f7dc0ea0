"""A clock that jumps an hour under one service: told in its health, and all as before once it is right again.

Needs libfaketime: `make test-faults` installs it.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from local.suite import Suite
from tests.faults.processes import Running, running
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.patience import PATIENCE_SECONDS

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
CONVERSATIONS = "/api/v1/chat/conversations"
pytestmark = [
    pytest.mark.skipif(not os.environ.get("FAULTS"), reason="with FAULTS=1, as auth is asked every ten seconds"),
    pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed: make test-faults"),
]


@pytest.fixture
def put_clock(tmp_path: Path) -> Callable[[int], None]:
    """Sets the clock of the process to so many seconds from the right time, while it runs."""

    def put(seconds: int) -> None:
        draft = tmp_path / "clock.new"
        draft.write_text(f"{seconds:+d}\n")
        draft.rename(tmp_path / "clock")

    put(0)
    return put


@pytest.fixture
async def chat(
    suite: Suite, auth: httpx.AsyncClient, tmp_path: Path, put_clock: Callable[[int], None]
) -> AsyncIterator[Running]:
    """Its time of day comes from the file; its monotonic clock is the machine's, as when somebody sets the time."""
    suite.up(["redis"])
    async with running(
        suite,
        "chat",
        LD_PRELOAD=str(LIBRARIES[-1]),
        FAKETIME_TIMESTAMP_FILE=str(tmp_path / "clock"),
        FAKETIME_CACHE_DURATION="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    ) as process:
        yield process


def differs(check: dict[str, object]) -> bool:
    return check["status"] == "warn" and "differ by 3" in str(check["detail"])


def passes(check: dict[str, object]) -> bool:
    return check["status"] == "pass"


@pytest.mark.parametrize("seconds", [3600, -3600])
async def test_it_is_told_and_heals(chat: Running, user: User, put_clock: Callable[[int], None], seconds: int) -> None:
    before = await chat.client.get(CONVERSATIONS, headers=user.headers)

    put_clock(seconds)
    await chat.until(differs, "auth", PATIENCE_SECONDS)
    during = [await chat.client.get(CONVERSATIONS, headers=user.headers) for _ in range(5)]
    put_clock(0)
    await chat.until(passes, "auth", PATIENCE_SECONDS)
    after = await chat.client.get(CONVERSATIONS, headers=user.headers)

    assert before.status_code == after.status_code == 200
    # Ahead, the token is over; behind, one that was verified before is remembered for a minute.
    assert {answer.status_code for answer in during} <= ({401} if seconds > 0 else {200, 401})


async def until_refused(chat: Running, user: User) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await chat.client.get(CONVERSATIONS, headers=user.headers)).status_code != 401:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_what_was_revoked_stays_so(
    chat: Running, auth: httpx.AsyncClient, register_user: RegisterUser, put_clock: Callable[[int], None]
) -> None:
    """The list forgets what lapsed, by a clock that was wrong: it is asked for again."""
    leaver, other = await register_user(), await register_user()
    assert (await chat.client.get(CONVERSATIONS, headers=leaver.headers)).status_code == 200
    (await auth.post("/api/v1/auth/logout", headers=leaver.headers)).raise_for_status()
    await until_refused(chat, leaver)

    put_clock(3600)
    await chat.until(differs, "auth", PATIENCE_SECONDS)
    (await auth.post("/api/v1/auth/logout", headers=other.headers)).raise_for_status()
    await until_refused(chat, other)
    put_clock(0)
    await chat.until(passes, "auth", PATIENCE_SECONDS)

    for user in (leaver, other):
        assert (await chat.client.get(CONVERSATIONS, headers=user.headers)).status_code == 401
