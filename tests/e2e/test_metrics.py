"""What deploy/observability has Prometheus gather and Grafana show is there: asked of a real Prometheus."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from local.certificates import AUTHORITY
from local.consul_access import PROMETHEUS
from local.layout import REPOSITORY
from local.secrets import consul_token
from local.suite import Suite
from tests.architecture.conftest import fetch_program
from tests.e2e.test_journey import API, finished
from tests.fixtures.http import authorities
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port

OBSERVABILITY = REPOSITORY / "deploy" / "observability"
CONFIGURATION = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
DASHBOARDS = sorted((OBSERVABILITY / "grafana" / "dashboards").glob("*.json"))
NOT_HERE = {"faiss", "kong"}
"""What a suite without containers has none of."""
OF_EVERY_PROCESS = {"Being answered", "Waiting for a connection", "Connected to RabbitMQ", "Memory", "Processors"}
SPECIAL = {
    "agents": {"Requests"},
    "tasks": {"Submitted", "Attempts", "95 % of attempts run for", "95 % begin after", "Tasks that wait"},
}
"""Panels that have something to show after what is done here."""
_PARTS_OF_HISTOGRAMS = re.compile(r"_(bucket|count|sum)$")


def jobs() -> list[dict[str, Any]]:
    return [one for one in CONFIGURATION["scrape_configs"] if one["job_name"] not in NOT_HERE]


def here(suite: Suite, job: dict[str, Any]) -> dict[str, Any]:
    """The job on this machine: the process at its port instead of those that Consul names, by TLS if it talks so."""
    address = httpx.URL(suite.url(job["job_name"].replace("-", "_")))
    placed: dict[str, Any] = {"scheme": address.scheme, "static_configs": [{"targets": [address.netloc.decode()]}]}
    if suite.site.uses_tls:
        placed["tls_config"] = job["tls_config"] | {"ca_file": str(suite.site.certificates / AUTHORITY)}
    of_containers = {"scheme", "tls_config", "consul_sd_configs"}
    return placed | {name: value for name, value in job.items() if name not in of_containers}


@pytest.fixture(scope="module")
def metrics(
    suite: Suite, gateway: httpx.AsyncClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A Prometheus that gathers from the whole suite once a second."""
    program = fetch_program("prometheus", "prometheus", "usr/bin/prometheus", "trixie")
    home, address = tmp_path_factory.mktemp("prometheus"), f"127.0.0.1:{free_port()}"
    often = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    told = home / "prometheus.yml"
    told.write_text(json.dumps({"global": often, "scrape_configs": [here(suite, job) for job in jobs()]}))
    command = [program, f"--config.file={told}", f"--storage.tsdb.path={home}", f"--web.listen-address={address}"]
    with (home / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as running:
        try:
            with httpx.Client(base_url=f"http://{address}/api/v1", timeout=PATIENCE_SECONDS) as client:
                yield client
        finally:
            running.terminate()


@pytest.fixture(scope="module")
async def gathered(metrics: httpx.Client, gateway: httpx.AsyncClient, user: User) -> httpx.Client:
    """After a task and a request, once every process has been asked a few times since."""
    await looked_at(metrics, 1)
    task = {"kind": "echo", "input": {}}
    submitted = await gateway.post(f"{API}/tasks/submit", json=task, headers=user.headers)
    await finished(gateway, user, submitted.json()["id"])
    (await gateway.get(f"{API}/agents/list", headers=user.headers)).raise_for_status()
    await looked_at(metrics, 3)
    return metrics


async def looked_at(metrics: httpx.Client, times: int) -> None:
    """Waits until each process has been asked so often from now on."""
    since, give_up_at = time.time(), time.monotonic() + PATIENCE_SECONDS
    wanted = {job["job_name"] for job in jobs()}
    while True:
        seconds = int(time.time() - since) + 1
        try:
            up = result(metrics, f"sum_over_time(up[{seconds}s]) >= {times}")
        except httpx.HTTPError:  # not yet listening, or not yet ready, which it says with 503
            up = []
        if wanted == {one["metric"]["job"] for one in up}:
            return
        assert time.monotonic() < give_up_at, (wanted, up)
        await asyncio.sleep(0.2)


def result(metrics: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = metrics.get("/query", params={"query": query}).raise_for_status().json()
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def panels(file: Path) -> Iterator[tuple[str, str, str]]:
    """The title, the query and the names of the lines of each panel."""
    for panel in json.loads(file.read_text())["panels"]:
        [target] = panel["targets"]
        yield panel["title"], target["expr"].replace("$__rate_interval", "1m"), target["legendFormat"]


def shown_by(metrics: httpx.Client, file: Path, wanted: set[str]) -> dict[str, list[dict[str, Any]]]:
    """What each panel shows, once those wanted show something: who answered late is there at a later look."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        shown = {title: result(metrics, query) for title, query, _ in panels(file)}
        if {title for title, lines in shown.items() if lines} >= wanted or time.monotonic() > give_up_at:
            return shown
        time.sleep(0.2)


def names(query: str) -> set[str]:
    """The metrics that a query asks for."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on) \([^)]*\)", " ", query)
    return set(re.findall(r"[a-z_]{4,}\b(?!\s*\()", bare))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_asks_for_metrics_that_are_there(gathered: httpx.Client, file: Path) -> None:
    asked = {name for _, query, _ in panels(file) for name in names(query)}
    wanted_titles = OF_EVERY_PROCESS | SPECIAL.get(file.stem, set())
    shown = shown_by(gathered, file, wanted_titles)
    known = set(gathered.get("/metadata").raise_for_status().json()["data"])

    assert {_PARTS_OF_HISTOGRAMS.sub("", name) for name in asked if name not in known} <= known
    assert {title for title, lines in shown.items() if lines} >= wanted_titles
    for title, _, legend in panels(file):
        wanted = set(re.findall(r"\{\{(\w+)\}\}", legend))
        assert [line["metric"] for line in shown[title] if wanted - line["metric"].keys()] == [], title


async def test_consul_names_every_process_to_prometheus(suite: Suite, gateway: httpx.AsyncClient) -> None:
    """By the token that it is given, and in the way in which it shows one."""
    token = consul_token(suite.secrets.consul_management, PROMETHEUS)
    for job in jobs():
        [discovery] = job["consul_sd_configs"]
        [service] = discovery["services"]
        place = f"{suite.url('consul')}/v1/health/service/{service}"
        found = asked(place, Authorization=f"Bearer {token}")

        assert [one["Service"]["Port"] for one in found] == [suite.site.ports[service.replace("-", "_")]]
        assert asked(f"{suite.url('consul')}/v1/catalog/datacenters") == [discovery["datacenter"]]
        assert discovery["authorization"] == {"credentials_file": "/run/secrets/consul_token_prometheus"}
        assert service == job["job_name"] == job["tls_config"]["server_name"]


def asked(place: str, **headers: str) -> Any:
    """What Consul says there."""
    answer = httpx.get(place, headers=headers, timeout=PATIENCE_SECONDS, verify=authorities())
    return answer.raise_for_status().json()
