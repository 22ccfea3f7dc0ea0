"""`make up` restarts what is alive and does not do its work, says so, and says when that did not help.

The quick ones in `make test`, all of them with `FAULTS=1` (`make test-faults`).
"""

import os
import subprocess

import pytest
from redis import Redis

from local.components.postgres import binaries
from local.components.redis import Redis as RedisComponent
from local.errors import SuiteFailed
from local.outcomes import Outcome, Result
from local.probes import ask
from local.probes import postgres as run_sql
from local.suite import Suite
from tests.local.conftest import MakeSuite


def outcome_of(suite: Suite, name: str) -> Outcome:
    (outcome,) = [one for one in suite.up([name]) if one.component == name]
    return outcome


def pid_of(suite: Suite, name: str) -> int:
    pid = suite.pids()[name]
    assert pid
    return pid


def refuse_writes(suite: Suite) -> None:
    with Redis.from_url(suite.url("redis")) as client:
        client.config_set("min-replicas-to-write", 1)


def declare_quorum_queue(suite: Suite, name: str) -> None:
    place = f"{suite.url('rabbitmq_management')}/api/queues/sutazai/{name}"
    ask("PUT", place, b'{"durable": true, "arguments": {"x-queue-type": "quorum"}}', (201, 204))


def take_down(suite: Suite, queue: str) -> None:
    """Ends the one server of a quorum queue inside the broker, as an error on its disk does."""
    ending = f"ra:stop_server(quorum_queues, {{'sutazai_{queue}', node()}})."
    command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "eval", ending]
    environment = suite.environment("rabbitmq")
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)


with_faults = pytest.mark.skipif(not os.environ.get("FAULTS"), reason="with FAULTS=1, as it takes long")


@pytest.mark.parametrize(
    "name", ["redis", pytest.param("postgres", marks=with_faults), pytest.param("consul", marks=with_faults)]
)
def test_a_frozen_store_is_restarted(suite: Suite, name: str) -> None:
    suite.up([name])
    before = pid_of(suite, name)
    suite.freeze(name)

    outcome = outcome_of(suite, name)

    assert (outcome.result, outcome.reason) == (Result.RESTARTED, "refused work: its process is frozen")
    assert pid_of(suite, name) != before
    assert outcome_of(suite, name).result is Result.RUNNING


def test_a_store_that_answers_and_refuses_writes_is_restarted(suite: Suite) -> None:
    suite.up(["redis"])
    refuse_writes(suite)

    outcome = outcome_of(suite, "redis")

    assert outcome.result is Result.RESTARTED
    assert outcome.reason.startswith("refused work: NOREPLICAS")
    with Redis.from_url(suite.url("redis")) as client:
        assert client.set("written", "yes")


@with_faults
def test_a_broker_with_a_queue_down_is_restarted(suite: Suite) -> None:
    suite.up(["rabbitmq"])
    declare_quorum_queue(suite, "kept")
    take_down(suite, "kept")

    outcome = outcome_of(suite, "rabbitmq")

    assert (outcome.result, outcome.reason) == (Result.RESTARTED, "refused work: queues are down: kept")
    assert outcome_of(suite, "rabbitmq").result is Result.RUNNING


@with_faults
def test_what_stays_sick_fails_with_the_reason(suite: Suite) -> None:
    suite.up(["postgres"])
    for statement in ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"):
        run_sql(str(binaries() / "psql"), suite.url("postgres"), statement)

    with pytest.raises(SuiteFailed, match="read-only transaction") as failure:
        suite.up(["postgres"])

    (outcome,) = failure.value.outcomes
    assert outcome.reason.startswith("still sick after 2 restarts")
    assert {one.component: one.state for one in suite.status()}["postgres"] == "ready"  # for those who read


def test_a_full_disk_is_named_and_nothing_restarted(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.up(["redis"])
    before = pid_of(suite, "redis")
    refuse_writes(suite)
    monkeypatch.setattr(RedisComponent, "least_free_bytes", 1 << 60)  # as if nearly all of the disk were used

    with pytest.raises(SuiteFailed, match=r"not restarted, as only .* MB are free under"):
        suite.up(["redis"])

    assert pid_of(suite, "redis") == before


@with_faults
def test_a_service_that_stays_unready_is_restarted(make_suite: MakeSuite) -> None:
    suite = make_suite()
    suite.up(["portal"])
    before = pid_of(suite, "portal")
    suite.freeze("portal")

    outcome = outcome_of(suite, "portal")

    assert outcome.result is Result.RESTARTED
    assert pid_of(suite, "portal") != before
