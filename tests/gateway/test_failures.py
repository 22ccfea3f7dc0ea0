"""What callers see of instances that die, hang up or are not there."""

import json
import os
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.gateway.running import Gateway, gateway, script, wait_for

AGENTS = "/api/v1/agents/list"
CREATE = "/api/v1/agents/create"
CALLERS = 4
CUT = 0  # where an answer has a status


@pytest.fixture(scope="module")
def deserted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The agents' only instance refuses connections; no other service has any."""
    with gateway(tmp_path_factory.mktemp("deserted"), {"agents": f"http://127.0.0.1:{free_port()}"}) as running:
        yield running


def test_service_without_instances_is_unavailable(deserted: Gateway) -> None:
    answer = deserted.client.get("/api/v1/tasks/list")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["code"] == "common.unavailable"
    assert answer.json()["detail"] == "The tasks service is not available right now."


@pytest.mark.parametrize(("method", "path"), [("GET", AGENTS), ("POST", CREATE)])
def test_service_that_refuses_connections_is_unavailable(deserted: Gateway, method: str, path: str) -> None:
    answer = deserted.client.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (503, "common.unavailable")


@contextmanager
def several_instances(count: int) -> Iterator[dict[int, str]]:
    """Instances of one service, each a process; their URLs by process id."""
    with ExitStack() as stack:
        urls = {}
        for port in [free_port() for _ in range(count)]:
            process = stack.enter_context(script("upstream", f"agents={port}", ports=[port]))
            urls[process.pid] = f"http://127.0.0.1:{port}"
        yield urls


@pytest.fixture
def pair() -> Iterator[dict[int, str]]:
    """Two that may be killed."""
    with several_instances(2) as urls:
        yield urls


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, set[int]]]:
    """A gateway before two instances that stay; their process ids."""
    directory = tmp_path_factory.mktemp("balanced")
    with several_instances(2) as urls, gateway(directory, {"agents": ",".join(urls.values())}) as running:
        yield running, set(urls)


def test_killed_instance_costs_at_most_two_requests_and_then_none(tmp_path: Path, pair: dict[int, str]) -> None:
    victim = next(iter(pair))
    statuses: list[int] = []
    with gateway(tmp_path, {"agents": ",".join(pair.values())}) as running:
        wait_for(lambda: served_by(running) == victim, "the victim to serve")
        for count in range(300):
            if count == 50:
                os.kill(victim, signal.SIGKILL)
            method, path = ("POST", CREATE) if count % 2 else ("GET", AGENTS)
            statuses.append(running.client.request(method, path).status_code)

    failures = [count for count, status in enumerate(statuses) if status != 200]
    assert len(failures) <= 2
    assert all(count < 60 for count in failures)


@pytest.mark.parametrize(("instances", "killed"), [(2, 1), (3, 2)])
def test_killed_instances_cost_only_the_writes_they_held(tmp_path: Path, instances: int, killed: int) -> None:
    journal = tmp_path / "journal"
    enough = threading.Event()
    with (
        several_instances(instances) as urls,
        gateway(tmp_path, {"agents": ",".join(urls.values())}) as running,
        ThreadPoolExecutor(2 * CALLERS) as pool,
        closing_with(enough),
    ):
        reads = [pool.submit(calls, running, "GET", AGENTS, enough, journal) for _ in range(CALLERS)]
        writes = [pool.submit(calls, running, "POST", CREATE, enough, journal) for _ in range(CALLERS)]
        wait_for(lambda: journal.exists() and len(journal.read_bytes()) > 10_000, "load")
        before = len(journal.read_bytes())
        for pid in list(urls)[:killed]:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(journal.read_bytes()) > before + 20_000, "load after the kill")
    failed_reads = [status for future in reads for status in future.result() if status != 200]
    failed_writes = [status for future in writes for status in future.result() if status != 200]
    written = Counter(line for line in journal.read_text().splitlines() if line.startswith("POST"))

    assert set(failed_reads) <= {CUT}
    assert len(failed_reads) <= killed * CALLERS, failed_reads  # each caller has one under way
    assert len(failed_writes) <= killed * CALLERS, failed_writes
    assert max(written.values()) == 1


@contextmanager
def closing_with(event: threading.Event) -> Iterator[None]:
    """Sets `event` at the end, however the block ends, so that nobody is waited for in vain."""
    try:
        yield
    finally:
        event.set()


@pytest.mark.parametrize(("method", "path"), [("GET", AGENTS), ("POST", CREATE)])
def test_the_one_that_lives_is_found_among_the_dead(tmp_path: Path, method: str, path: str) -> None:
    """Before anything is known of them: the first request of all."""
    with several_instances(1) as urls:
        dead = [f"http://127.0.0.1:{free_port()}" for _ in range(3)]
        with gateway(tmp_path, {"agents": ",".join([*dead, *urls.values()])}) as running:
            answers = [running.client.request(method, path).status_code for _ in range(4)]

    assert answers == [200] * 4


def calls(running: Gateway, method: str, path: str, enough: threading.Event, journal: Path) -> list[int]:
    """One caller, one request after another until it is enough; how each was answered."""
    statuses = []
    with httpx.Client(base_url=running.client.base_url, timeout=PATIENCE_SECONDS, verify=authorities()) as client:
        while not enough.is_set():
            headers = {"x-journal": str(journal), "x-request-id": f"{method}-{uuid.uuid4()}"}
            try:
                statuses.append(client.request(method, path, headers=headers).status_code)
            except httpx.RemoteProtocolError:  # killed when its answer was half out: nobody can make it whole
                statuses.append(CUT)
    return statuses


def served_by(running: Gateway) -> int:
    pid: int = running.client.get(AGENTS).json()["pid"]
    return pid


def test_both_instances_serve(balanced: tuple[Gateway, set[int]]) -> None:
    running, instances = balanced

    assert {served_by(running) for _ in range(10)} == instances


def test_read_is_tried_elsewhere_when_an_instance_dies_under_it(tmp_path: Path, pair: dict[int, str]) -> None:
    """The caller's request kills whoever takes it, so it has two lives here, and both are spent."""
    with gateway(tmp_path, {"agents": ",".join(pair.values())}) as running:
        running.client.get(AGENTS, headers={"x-test": "hang-up"})

        after = running.client.get(AGENTS)

    assert after.status_code == 503


def test_write_that_died_half_way_is_not_repeated(tmp_path: Path, pair: dict[int, str]) -> None:
    with gateway(tmp_path, {"agents": ",".join(pair.values())}) as running:
        answer = running.client.post(CREATE, headers={"x-test": "hang-up"})
        after = running.client.get(AGENTS)

    assert (answer.status_code, answer.json()["code"]) == (502, "common.upstream_failed")
    assert answer.json()["status"] == 502
    assert after.status_code == 200  # the other instance was never asked to take the write


def test_service_that_answers_errors_keeps_being_asked(balanced: tuple[Gateway, set[int]]) -> None:
    """A 503 for a store that is down is the service's own word; setting the instance aside would hide it."""
    running, _ = balanced

    answers = [running.client.get(AGENTS, headers={"x-test": "fail"}) for _ in range(30)]

    assert {json.dumps(answer.json()) for answer in answers} == {'{"code": "own.unavailable"}'}


def test_log_tells_of_every_request_without_its_query(own_edge: Gateway, services: dict[str, str]) -> None:
    own_edge.client.get(f"{AGENTS}?q=secret-question", headers={"X-Request-ID": "find-me"})

    def found() -> list[str]:
        return [line for line in own_edge.log().split("\n")[:-1] if "find-me" in line]  # the last may be half a line

    wait_for(lambda: bool(found()), "the access log")

    entry = json.loads(found()[0])
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", AGENTS, 200)
    assert f"http://{entry['upstream']}" == services["agents"]
    assert "secret-question" not in own_edge.log()
