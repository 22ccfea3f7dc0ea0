"""Limits lie inside each other, and the page that says so is what the code does."""

import re
from collections import defaultdict
from typing import Any

import pytest
import yaml

from gateway.envoy import clusters
from local.layout import REPOSITORY
from services.agents.settings import Settings as Agents
from services.auth.settings import Settings as Auth
from services.chat.runs import journal
from services.chat.settings import Settings as Chat
from services.tasks.settings import Settings as Tasks
from services.tasks.settings import WorkerSettings
from services.vectors.adapters import chroma_api, node_connection
from services.vectors.settings import Settings as Vectors
from shared import redis
from shared.calls import client, pool
from shared.identity import client as identity
from shared.messages import publishing
from shared.platform import serving
from shared.postgres import opening
from shared.settings import ServiceSettings

SETTINGS: dict[str, type[ServiceSettings]] = {
    "auth": Auth,
    "agents": Agents,
    "chat": Chat,
    "tasks": Tasks,
    "vectors": Vectors,
}
CODE = {
    "shared/postgres/opening.py": {opening._STATEMENT_SECONDS, opening._CONNECT_SECONDS, opening._POOL_WAIT_SECONDS},
    "shared/redis.py": {redis._COMMAND_SECONDS, redis._POOL_WAIT_SECONDS, redis._CONNECT_SECONDS},
    "shared/messages/publishing.py": {publishing._PUBLISH_SECONDS},
    "shared/identity/client.py": {identity.CALL_SECONDS},
    "shared/calls/pool.py": {pool.CONNECT_SECONDS},
    "services/vectors/adapters/chroma_api.py": {chroma_api._READ_SECONDS},
    "services/vectors/adapters/node_connection.py": {node_connection.AWAY_SECONDS},
    "services/chat/runs/journal.py": {journal.STORE_SECONDS},
}


def default(settings: type[ServiceSettings], name: str) -> Any:
    return settings.model_fields[name].default


def gateway() -> dict[str, float]:
    kong = yaml.safe_load((REPOSITORY / "gateway" / "kong.yml").read_text())
    return {service["name"]: service["read_timeout"] / 1000 for service in kong["services"]}


def rows() -> dict[str, list[tuple[float, list[str]]]]:
    """By group: seconds, and what sets them."""
    section = (REPOSITORY / "docs" / "operations.md").read_text().split("## How long anything may take")[1]
    table = section.split("| pool |")[0]
    groups: defaultdict[str, list[tuple[float, list[str]]]] = defaultdict(list)
    group = ""
    for name, seconds, by in re.findall(r"^\| ([^|]*)\|[^|]*\| (\d+) \|([^|]*)\|$", table, re.MULTILINE):
        group = name.strip() or group
        groups[group].append((float(seconds), re.findall(r"`([^`]+)`", by)))
    return groups


@pytest.mark.parametrize("group", rows())
def test_each_limit_lies_inside_the_one_before(group: str) -> None:
    seconds = [one for one, _ in rows()[group]]

    assert len(seconds) > 5
    assert seconds == sorted(set(seconds), reverse=True)


def values_of(source: str, group: str) -> set[float]:
    """What the code has for a source that the page names."""
    if source == "gateway/kong.yml":
        found = gateway()
        return (
            {found["chat"]} if group == "a message to an agent" else {found[name] for name in found if name != "chat"}
        )
    if source in CODE:
        return CODE[source]
    of = [Chat] if group == "a message to an agent" else [one for name, one in SETTINGS.items() if name != "chat"]
    return {default(one, source.lower()) for one in of if source.lower() in one.model_fields}


@pytest.mark.parametrize("group", rows())
def test_the_page_says_what_the_code_does(group: str) -> None:
    wrong = [
        (seconds, source, found)
        for seconds, sources in rows()[group]
        for source in sources
        if seconds not in (found := values_of(source, group))
    ]

    assert wrong == []


@pytest.mark.parametrize("service", SETTINGS)
def test_the_gateway_waits_longer_than_the_service_works(service: str) -> None:
    assert gateway()[service] > default(SETTINGS[service], "request_limit_seconds")


def test_a_turn_fits_into_its_request() -> None:
    whole = default(Chat, "run_seconds") + default(Chat, "agent_seconds")

    assert default(Chat, "request_limit_seconds") > whole
    assert default(Chat, "search_seconds") + default(Chat, "llm_first_token_seconds") < default(Chat, "run_seconds")


def test_nobody_sends_into_a_connection_that_is_being_closed() -> None:
    """A service keeps a silent connection for longer than either gateway does."""
    kong = dict(re.findall(r"^(\w+)=(.*)$", (REPOSITORY / "gateway" / "kong.env").read_text(), re.MULTILINE))
    kept_for = {clusters._UPSTREAM_IDLE_SECONDS, int(kong["KONG_UPSTREAM_KEEPALIVE_IDLE_TIMEOUT"])}

    assert max(kept_for) < serving._KEEP_ALIVE_SECONDS


def test_whoever_does_work_later_waits_no_longer_than_the_worker_would() -> None:
    assert default(WorkerSettings, "heartbeat_seconds") * 3 <= default(WorkerSettings, "lease_seconds")


def test_the_pools_are_as_large_as_the_page_says() -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    sizes = {
        "PostgreSQL, of one service": opening._POOL_SIZE,
        "Redis, of one client": redis._MAX_CONNECTIONS,
        "Neo4j": default(Agents, "neo4j_pool_size"),
        "other services": pool._MAX_CONNECTIONS,
    }

    assert [name for name, size in sizes.items() if f"| {name} | {size} |" not in page] == []
    assert f"| {pool._MAX_CONNECTIONS} | {client._MAX_RETRIES}, where" in page
