"""What `make up` and `make down` promise, with real servers."""

import os
import signal
import socket
import stat
import time

import psutil
import pytest
from redis import Redis

from local.choices import REMEMBERED
from local.errors import PortTaken, SuiteFailed, UnknownComponent
from local.leftovers import processes_of
from local.outcomes import Result
from local.ports import LOOPBACK, is_free
from local.suite import Suite
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.local.conftest import SECOND_PORT_BASE, MakeSuite

QUICK = ["postgres", "redis"]


def results(suite: Suite, names: list[str]) -> dict[str, Result]:
    return {outcome.component: outcome.result for outcome in suite.up(names)}


def states(suite: Suite, names: list[str]) -> dict[str, str]:
    """Of each, once it is one thing or the other: who is slow to answer is not ready, and is asked again."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = {one.component: one.state for one in suite.status() if one.component in names}
        if "not ready" not in found.values() or time.monotonic() > give_up_at:
            return found
        time.sleep(0.1)


def test_second_up_changes_nothing(suite: Suite) -> None:
    first = results(suite, QUICK)
    pids = {one.component: one.pid for one in suite.status()}

    second = results(suite, QUICK)

    assert set(first.values()) == {Result.STARTED}
    assert set(second.values()) == {Result.RUNNING}
    assert {one.component: one.pid for one in suite.status()} == pids


def test_down_leaves_no_process_and_no_open_port(suite: Suite) -> None:
    suite.up([*QUICK, "epmd"])
    names = {process.name() for process in processes_of(suite.site.layout)}

    suite.down()

    assert processes_of(suite.site.layout) == []
    assert names == {"postgres", "valkey-server", "epmd"}
    assert all(is_free(suite.site.ports[name]) for name in [*QUICK, "epmd"])


def test_everything_listens_on_loopback_only(suite: Suite) -> None:
    suite.up([*QUICK, "epmd"])

    found = [process.net_connections("tcp") for process in processes_of(suite.site.layout)]
    listening = {one.laddr[0] for connections in found for one in connections if one.status == psutil.CONN_LISTEN}

    assert listening
    assert listening <= {LOOPBACK, "::1"}


def test_secrets_are_readable_by_their_owner_only(suite: Suite) -> None:
    suite.up(["redis"])
    home = suite.site.layout.home
    secret = [home / "secrets.json", home / "redis" / "redis.conf", *(home / "run").glob("*.sh")]

    modes = {stat.S_IMODE(path.stat().st_mode) for path in secret}

    assert modes == {0o600}


def test_no_password_stands_on_a_command_line(suite: Suite) -> None:
    suite.up(QUICK)
    secrets = suite.secrets

    commands = " ".join(" ".join(process.cmdline()) for process in processes_of(suite.site.layout))

    assert secrets.redis_password not in commands
    assert secrets.postgres_password not in commands


def test_taken_port_is_named_before_anything_starts(suite: Suite) -> None:
    with socket.socket() as stranger:
        stranger.bind((LOOPBACK, suite.site.ports["redis"]))
        stranger.listen()

        with pytest.raises(PortTaken, match=rf"port {suite.site.ports['redis']} of redis"):
            suite.up(QUICK)

    assert processes_of(suite.site.layout) == []


def test_failing_component_is_named_and_the_others_stay(suite: Suite) -> None:
    broken = suite.site.layout.home / "redis"
    broken.mkdir()
    (broken / "appendonlydir").write_text("not a directory")

    with pytest.raises(SuiteFailed, match="redis") as failure:
        suite.up(QUICK)

    (outcome,) = [one for one in failure.value.outcomes if one.has_failed]
    assert outcome.component == "redis"
    assert "appendonlydir" in outcome.reason
    assert outcome.log == suite.site.layout.log("redis")
    assert states(suite, QUICK) == {"postgres": "ready", "redis": "stopped"}


def test_killed_component_stays_down_and_comes_back_with_its_data(suite: Suite) -> None:
    suite.up(["redis"])
    with Redis.from_url(suite.url("redis")) as client:
        client.set("kept", "yes")
        client.execute_command("WAITAOF", 1, 0, 5000)

    suite.kill("redis")
    while_down = states(suite, ["redis"])
    suite.start("redis")

    assert while_down == {"redis": "stopped"}
    with Redis.from_url(suite.url("redis")) as client:
        assert client.get("kept") == b"yes"


def test_external_component_is_used_and_not_started(make_suite: MakeSuite) -> None:
    owner = make_suite("owner", SECOND_PORT_BASE)
    owner.up(["redis"])
    guest = make_suite(REDIS_URL=owner.url("redis"))

    outcome = results(guest, ["redis"])

    assert outcome == {"redis": Result.EXTERNAL}
    assert guest.environment("chat")["REDIS_URL"] == owner.url("redis")
    assert guest.environment("auth")["REDIS_URL"] == guest.url("redis-cache") == owner.url("redis")
    assert processes_of(guest.site.layout) == []


def test_two_suites_run_beside_each_other(make_suite: MakeSuite) -> None:
    first, second = make_suite("first"), make_suite("second", SECOND_PORT_BASE)
    first.up(["redis"])
    second.up(["redis"])

    first.down()

    assert states(second, ["redis"]) == {"redis": "ready"}
    assert first.secrets != second.secrets


def test_down_ends_what_a_dead_process_manager_left(suite: Suite) -> None:
    suite.up(["redis"])
    manager = int((suite.site.layout.run / "supervisord.pid").read_text())
    os.kill(manager, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(manager)] if psutil.pid_exists(manager) else [], timeout=PATIENCE_SECONDS)
    assert not is_free(suite.site.ports["redis"])

    suite.down()

    assert processes_of(suite.site.layout) == []
    assert is_free(suite.site.ports["redis"])


def test_changed_setting_restarts_the_component(make_suite: MakeSuite) -> None:
    make_suite().up(["redis"])

    changed = make_suite(TZ="Asia/Tokyo")

    assert results(changed, ["redis"]) == {"redis": Result.RESTARTED}


def test_unknown_component_is_refused_by_name(suite: Suite) -> None:
    with pytest.raises(UnknownComponent, match="postgre'"):
        suite.up(["postgre"])


def test_what_it_was_started_with_holds_for_the_commands_after(
    make_suite: MakeSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = make_suite(port_base=SECOND_PORT_BASE, SUTAZAI_INSIDE_TLS="off")
    suite.up(["redis"])
    for name in REMEMBERED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SUTAZAI_HOME", str(suite.site.layout.home))

    started = Suite.as_started()
    assert (started.site.ports.base, started.site.uses_tls) == (SECOND_PORT_BASE, False)
    assert states(started, ["redis", "chat"]) == {"redis": "ready", "chat": "stopped"}

    monkeypatch.setenv("SUTAZAI_INSIDE_TLS", "on")
    assert Suite.as_started().site.uses_tls


def test_a_suite_that_was_never_started_goes_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, make_suite: MakeSuite
) -> None:
    monkeypatch.setenv("SUTAZAI_HOME", str(make_suite("other").site.layout.home))
    monkeypatch.setenv("SUTAZAI_PORT_BASE", str(SECOND_PORT_BASE))

    assert Suite.as_started().site.ports.base == SECOND_PORT_BASE
