"""What a killed process leaves behind for a moment keeps the next one from starting for no longer than that."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import psutil
import pytest

from local import predecessors, starting
from local.errors import SuiteFailed
from local.outcomes import Result
from local.suite import Suite
from local.supervision import Supervisor
from tests.fixtures.patience import PATIENCE_SECONDS

IN_USE = "pre-existing shared memory block"


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def child(suite: Suite) -> Iterator[psutil.Process]:
    """One of a PostgreSQL that was killed, which stands still and holds the memory that all of them shared."""
    suite.up(["postgres"])
    server, supervisor = psutil.Process(suite.pids()["postgres"]), Supervisor(suite.site.layout)
    held = server.children()[0]
    held.suspend()
    server.suspend()  # its death is to be the end that was asked for, else the supervisor starts it again itself
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(suite.stop, "postgres")
        wait_until(lambda: supervisor.info("postgres")["statename"] == "STOPPING")
        server.kill()
        stopping.result()
    yield held
    if held.is_running():
        held.kill()


def times_refused(suite: Suite) -> int:
    return suite.site.layout.log("postgres").read_text().count(IN_USE)


def test_a_store_is_started_again_until_the_one_before_it_is_gone(
    suite: Suite, child: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "AGAIN_SECONDS", PATIENCE_SECONDS)
    with ThreadPoolExecutor(1) as pool:
        rising = pool.submit(suite.up, ["postgres"])
        wait_until(lambda: times_refused(suite) >= 2)
        child.kill()
        [outcome] = rising.result()

    assert outcome.result is Result.STARTED
    assert outcome.reason.startswith("started again ")
    assert IN_USE in outcome.reason
    assert [one.result for one in suite.up(["postgres"])] == [Result.RUNNING]


def test_one_that_stays_is_waited_for_no_longer_than_it_may_take(
    suite: Suite, child: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "AGAIN_SECONDS", UntilRefusedTwice(suite))

    with pytest.raises(SuiteFailed, match=IN_USE):
        suite.up(["postgres"])

    assert times_refused(suite) >= 2
    assert child.is_running()


@dataclass(frozen=True)
class UntilRefusedTwice:
    """In place of seconds: a start may take as long as it likes, and the time is over once two were in vain."""

    suite: Suite

    def __radd__(self, _: float) -> Self:
        return self

    def __lt__(self, _: float) -> bool:
        return times_refused(self.suite) >= 2


@pytest.mark.parametrize(
    "line",
    [
        "FATAL:  pre-existing shared memory block (key 65538, ID 3) is still in use",
        'FATAL:  lock file "postmaster.pid" already exists',
        'could not bind IPv4 address "127.0.0.1": Address already in use',
        "Warning: Could not create server TCP listening socket 127.0.0.1:10211: bind: Address already in use",
        "==> failed to start HTTP server: listen tcp 127.0.0.1:10214: bind: address already in use",
        "[error] Failed to start Ranch listener in ranch_tcp:listen: eaddrinuse (address already in use)",
        "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 10201): address already in use",
    ],
)
def test_every_server_is_understood(line: str) -> None:
    assert predecessors.complaint(["starting", line, "shutting down"]) == line


def test_other_complaints_are_not_taken_for_it() -> None:
    assert predecessors.complaint(["FATAL:  could not access file: No such file or directory"]) == ""
