"""The suite that tests share leaves alone what stands, and nothing else."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.outcomes import Result
from tests.fixtures.places import FREE_PORT_BASES
from tests.fixtures.standing import StandingSuite


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[StandingSuite]:
    suite = StandingSuite(tmp_path / "home", FREE_PORT_BASES[0], {"PATH": os.environ["PATH"]})
    yield suite
    suite.kill_all()


def result(suite: StandingSuite) -> Result:
    (outcome,) = suite.up(["redis"])
    return outcome.result


def test_what_stands_is_left_alone_and_what_fell_or_froze_is_put_up_again(suite: StandingSuite) -> None:
    first, again = result(suite), result(suite)
    suite.kill("redis")
    after_a_kill = result(suite)
    suite.freeze("redis")
    after_a_frost = result(suite)

    assert (first, again) == (Result.STARTED, Result.RUNNING)
    assert (after_a_kill, after_a_frost) == (Result.STARTED, Result.RESTARTED)


def test_whoever_needs_what_was_started_anew_is_proved_again(suite: StandingSuite) -> None:
    suite.up(["redis", "redis-cache"])
    suite.kill("redis")
    suite.start("redis")

    outcomes = suite.up(["redis", "redis-cache"])

    assert all(outcome.seconds > 0 for outcome in outcomes)  # they did their work, which takes a while
    assert all(outcome.seconds == 0 for outcome in suite.up(["redis", "redis-cache"]))
