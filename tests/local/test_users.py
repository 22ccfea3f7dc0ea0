"""Whom the servers run as where root starts them, and what each of these users can read of a suite."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from redis import Redis

from local import accounts
from local.accounts import PREFIX
from local.components import ALL
from local.leftovers import processes_of
from local.suite import Suite
from tests.fixtures.places import RUN_HOME
from tests.fixtures.users import files_of, readable, user_of
from tests.local.conftest import SECOND_PORT_BASE, MakeSuite

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give servers users of their own")

STARTED = ("redis", "redis-cache", "epmd", "rabbitmq", "consul", "postgres", "portal", "gateway")
CAN_READ_ALL = 1 << 2
"""CAP_DAC_READ_SEARCH, as the kernel shows it."""


@pytest.fixture(scope="module")
def open_place() -> Iterator[Path]:
    """A directory that every user comes to, which none of pytest's own is."""
    RUN_HOME.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="users-", dir=None if accounts.barred(RUN_HOME) else RUN_HOME))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def running(open_place: Path) -> Iterator[Suite]:
    """What tells the kinds apart: servers that are programs, a Python process with a key, the gateway with a child."""
    suite = Suite(open_place / "running", SECOND_PORT_BASE, {"PATH": os.environ["PATH"]})
    suite.up(["redis", "postgres", "gateway"])
    yield suite
    suite.down()


def capabilities(pid: int) -> int:
    """Those that a process has in force."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("CapEff")), 16)


def test_each_server_runs_as_a_user_of_its_own(running: Suite) -> None:
    pids = running.pids()

    parents = {name: psutil.Process(pid) for name, pid in pids.items()}
    families = {name: [parent, *parent.children(recursive=True)] for name, parent in parents.items()}
    found = {name: {one.username() for one in family} for name, family in families.items()}

    assert found == {name: {f"{PREFIX}{name}"} for name in STARTED}
    assert len({user_of(name).pw_uid for name in STARTED}) == len(STARTED)
    assert all(user_of(name).pw_uid for name in STARTED)


def test_nobody_reads_a_file_of_the_suite(running: Suite) -> None:
    home, nobody = running.site.layout.home, pwd.getpwnam("nobody")
    secret = [
        home / "secrets.json",
        home / "run" / "portal.sh",
        home / "redis" / "redis.conf",
        home / "tls" / "tls_auth",
    ]

    found = readable(nobody, files_of(home))

    assert all(path.is_file() for path in secret)
    assert found == {home / "tls" / "tls_authority"}


@pytest.mark.parametrize("name", ["redis", "rabbitmq", "consul", "portal", "gateway"])
def test_a_server_reads_its_own_files_and_no_others(running: Suite, name: str) -> None:
    home = running.site.layout.home
    own = {path for path in (home / name).rglob("*") if path.is_file()}
    shared = {home / "tls" / "tls_authority"}
    key = {home / "tls" / f"tls_{name}"} if name == "portal" else set()

    assert readable(user_of(name), files_of(home)) == own | shared | key


def test_a_server_keeps_no_power_of_root(running: Suite) -> None:
    """Of those whose programs everybody may read; others see `test_a_closed_place_costs_reading`."""
    pids = {name: pid for name, pid in running.pids().items() if name not in closed(running)}

    assert {"redis", "rabbitmq", "consul"} <= pids.keys()
    assert {name: capabilities(pid) for name, pid in pids.items()} == dict.fromkeys(pids, 0)


def closed(suite: Suite) -> set[str]:
    return {name for names in suite.open_doors().values() for name in names}


def test_a_closed_place_costs_reading_and_nothing_more(suite: Suite) -> None:
    """The directory of a test is closed to others, as a checkout in root's home is."""
    suite.up(["redis"])

    [status] = [one for one in suite.status() if one.pid]
    assert status.pid is not None
    assert "redis" in closed(suite)
    assert psutil.Process(status.pid).username() == f"{PREFIX}redis"
    assert capabilities(status.pid) == CAN_READ_ALL


def test_behind_a_closed_place_its_own_folder_is_open_to_who_asks_first(tmp_path: Path) -> None:
    """As RabbitMQ and Neo4j do before they write: the kernel answers that question by rules of its own."""
    own, others = tmp_path / "own", tmp_path / "others"
    owner = accounts.owner_of("redis", [accounts.READ_ALL])
    accounts.give(own, owner)
    others.mkdir(mode=0o700)
    assert owner is not None
    assert accounts.barred(own)

    asked = "import os, sys; print(*(folder for folder in sys.argv[1:] if os.access(folder, os.W_OK)))"
    command = [*owner.become, sys.executable, "-I", "-c", asked, str(own), str(others)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)

    assert answer.stdout.split() == [str(own)]


def test_data_that_root_left_is_handed_over(suite: Suite) -> None:
    home = suite.site.layout.home / "redis"
    suite.up(["redis"])
    with Redis.from_url(suite.url("redis")) as client:
        client.set("kept", "yes")
        client.execute_command("WAITAOF", 1, 0, 5000)
    suite.down()
    own_by_root(home)

    suite.up(["redis"])

    with Redis.from_url(suite.url("redis")) as client:
        assert client.get("kept") == b"yes"
    assert {path.owner() for path in (home, *home.rglob("*"))} == {f"{PREFIX}redis"}


def own_by_root(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 0, 0)


@pytest.mark.parametrize("has_node", ["off", "on"])
def test_where_a_process_is_told_to_keep_files_is_its_own(suite: Suite, has_node: str) -> None:
    site = replace(suite.site, environ={**suite.site.environ, "SUTAZAI_FAISS_NODE": has_node})
    started = [one for one in ALL.values() if one.is_wanted(site)]

    keeping = {one.name: kept for one in started if (kept := one.launch(site).environment.get("DATA_DIR"))}
    owners = [folder for one in started for folder in one.folders(site)]

    assert keeping.keys() == {"faiss" if has_node == "on" else "vectors"}
    assert all(Path(kept) in ALL[name].folders(site) for name, kept in keeping.items())
    assert len(owners) == len(set(owners))


def test_what_a_server_puts_in_the_way_is_not_written_into(suite: Suite) -> None:
    """Its folder is its own, so it can have links there for what root writes at the next start."""
    valuable = suite.site.layout.home / "valuable"
    valuable.write_text("root's")
    suite.up(["redis"])
    suite.down()
    configuration = suite.site.layout.home / "redis" / "redis.conf"
    configuration.unlink()
    configuration.symlink_to(valuable)

    suite.up(["redis"])

    assert valuable.read_text() == "root's"
    assert (valuable.owner(), configuration.owner()) == ("root", f"{PREFIX}redis")
    assert not configuration.is_symlink()


def test_the_second_start_makes_no_user_and_restarts_nothing(running: Suite) -> None:
    users, pids = len(pwd.getpwall()), {process.pid for process in processes_of(running.site.layout)}

    running.up(["redis", "postgres", "gateway"])

    assert len(pwd.getpwall()) == users
    assert {process.pid for process in processes_of(running.site.layout)} >= pids


def test_what_others_may_not_read_is_found(open_place: Path) -> None:
    place = open_place / "place"
    file = place / "within" / "file"
    file.parent.mkdir(parents=True)
    file.touch(mode=0o644)
    before = accounts.unreadable([file])

    file.chmod(0o600)
    unread = accounts.unreadable([file])
    place.chmod(0o700)

    assert (before, unread, accounts.unreadable([file])) == (None, file, place)


def test_a_link_into_a_closed_place_is_closed(open_place: Path) -> None:
    hidden, link = open_place / "hidden" / "program", open_place / "program"
    hidden.parent.mkdir(mode=0o700)
    hidden.touch(mode=0o755)
    link.symlink_to(hidden)

    assert accounts.unreadable([link]) == hidden.parent


def test_a_port_below_1024_is_the_gateways_to_take(make_suite: MakeSuite) -> None:
    site = make_suite(port_base=443).site

    owner = ALL["gateway"].owner(site)

    assert owner is not None
    assert accounts.LOW_PORTS in owner.capabilities
