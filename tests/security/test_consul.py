"""S20: a name in Consul is registered by whose it is; whoever else is there reads at most, and is sent nothing."""

import asyncio
import json
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any

import httpx
import pytest

from local.components.consul import binary
from local.consul_access import REGISTERING
from local.suite import Suite
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.gateway.running import listens, wait_for

NOBODY, STRANGER = "nobody", "a stranger"
RUNNING = [name for name in REGISTERING if name != "faiss"]  # which only replicas of vectors ask
HOLDERS = (NOBODY, STRANGER, "gateway", *REGISTERING)
ELSEWHERE = "203.0.113.9"
UNSEEN = {"TTL": "1h", "Status": "critical"}  # what is registered for a moment is shown to nobody


@pytest.fixture
async def consul(suite: Suite, gateway: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The agent of the whole suite, which is up."""
    async with httpx.AsyncClient(
        base_url=suite.url("consul"), timeout=PATIENCE_SECONDS, verify=authorities()
    ) as client:
        yield client


def told(suite: Suite, holder: str) -> dict[str, str]:
    """The headers by which this one says who they are."""
    if holder == NOBODY:
        return {}
    token = "2f1a6b62-7a3c-4c0e-9d1d-5d3b0c7e9f10" if holder == STRANGER else suite.environment(holder)["CONSUL_TOKEN"]
    return {"X-Consul-Token": token}


def instance_of(suite: Suite, name: str) -> str:
    return f"{name}-127.0.0.1-{suite.site.ports[name.replace('-', '_')]}"


async def ask(client: httpx.AsyncClient, suite: Suite, holder: str, method: str, path: str, body: Any = None) -> int:
    answer = await client.request(method, path, json=body, headers=told(suite, holder))
    # 1.8 says of a token that it does not know 500 in one place, and the same words as elsewhere.
    return 403 if "ACL not found" in answer.text else answer.status_code


@pytest.mark.parametrize("holder", HOLDERS)
async def test_a_name_is_registered_by_its_owner_only(consul: httpx.AsyncClient, suite: Suite, holder: str) -> None:
    found = {}
    for name in REGISTERING:
        false = {"ID": f"false-{name}", "Name": name, "Address": ELSEWHERE, "Port": 1, "Check": UNSEEN}
        found[name] = await ask(consul, suite, holder, "PUT", "/v1/agent/service/register", false)
        if found[name] == 200:
            assert await ask(consul, suite, holder, "PUT", f"/v1/agent/service/deregister/{false['ID']}") == 200

    assert found == {name: 200 if name == holder else 403 for name in REGISTERING}


@pytest.mark.parametrize("holder", HOLDERS)
async def test_an_instance_is_taken_away_by_its_owner_only(
    consul: httpx.AsyncClient, suite: Suite, holder: str
) -> None:
    others = [name for name in RUNNING if name != holder]
    found = []
    for name in others:
        id = instance_of(suite, name)
        stolen = {"ID": id, "Name": holder, "Address": ELSEWHERE, "Port": 1, "Check": UNSEEN}
        found += [
            await ask(consul, suite, holder, "PUT", f"/v1/agent/service/deregister/{id}"),
            await ask(consul, suite, holder, "PUT", f"/v1/agent/service/maintenance/{id}?enable=true"),
            await ask(consul, suite, holder, "PUT", f"/v1/agent/check/fail/service:{id}"),
            await ask(consul, suite, holder, "PUT", "/v1/agent/service/register", stolen),
        ]

    assert set(found) == {403}
    seen = await consul.get("/v1/agent/services", headers=told(suite, "gateway"))
    assert seen.json().keys() >= {instance_of(suite, name) for name in RUNNING}


BEYOND = {
    "read a key": ("GET", "/v1/kv/sutazai_check", None),
    "write a key": ("PUT", "/v1/kv/sutazai_check", "x"),
    "delete a key": ("DELETE", "/v1/kv/sutazai_check", None),
    "register past the agent": (
        "PUT",
        "/v1/catalog/register",
        {"Node": "elsewhere", "Address": ELSEWHERE, "Service": {"Service": "auth", "Port": 1}},
    ),
    "take a node away": ("PUT", "/v1/catalog/deregister", {"Node": "sutazai"}),
    "have the agent run a check": (
        "PUT",
        "/v1/agent/check/register",
        {"Name": "x", "HTTP": "http://127.0.0.1:1", "Interval": "1m"},
    ),
    "close the agent for maintenance": ("PUT", "/v1/agent/maintenance?enable=true", None),
    "end the agent": ("PUT", "/v1/agent/leave", None),
    "read its configuration": ("GET", "/v1/agent/self", None),
    "give it another token": ("PUT", "/v1/agent/token/default", {"Token": ""}),
    "join it to another": ("PUT", f"/v1/agent/join/{ELSEWHERE}", None),
    "list the tokens": ("GET", "/v1/acl/tokens", None),
    "make a token": ("PUT", "/v1/acl/token", {"Policies": [{"Name": "global-management"}]}),
    "bootstrap anew": ("PUT", "/v1/acl/bootstrap", None),
    "take everything along": ("GET", "/v1/snapshot", None),
    "begin a session": ("PUT", "/v1/session/create", {"Name": "x"}),
    "send an event": ("PUT", "/v1/event/fire/x", None),
}


@pytest.mark.parametrize("holder", HOLDERS)
async def test_nobody_may_more(consul: httpx.AsyncClient, suite: Suite, holder: str) -> None:
    found = {what: await ask(consul, suite, holder, *request) for what, request in BEYOND.items()}

    assert found == dict.fromkeys(BEYOND, 403)


async def test_a_false_instance_is_never_sent_a_request(
    consul: httpx.AsyncClient, gateway: httpx.AsyncClient, suite: Suite
) -> None:
    false = {"ID": f"false-{new_id()}", "Name": "auth", "Address": ELSEWHERE, "Port": 1}
    tried = {
        holder: await ask(consul, suite, holder, "PUT", "/v1/agent/service/register", false)
        for holder in HOLDERS
        if holder != "auth"
    }

    assert set(tried.values()) == {403}
    known = (await consul.get("/v1/health/service/auth", headers=told(suite, "gateway"))).json()
    assert {entry["Service"]["Port"] for entry in known} == {suite.site.ports["auth"]}
    # Consul takes whoever is slow to answer its check out for a while, and all that time nobody else may be there.
    await asyncio.to_thread(wait_for, lambda: endpoints(suite, "auth") != [], "auth to be well")
    assert endpoints(suite, "auth") == [("127.0.0.1", suite.site.ports["auth"])]
    assert (await gateway.get("/api/v1/auth/jwks.json")).status_code == 200


def endpoints(suite: Suite, service: str) -> list[tuple[str, int]]:
    """Whom the gateway sends what is meant for this service."""
    file = suite.site.layout.home / "gateway" / "endpoints" / f"{service}.json"
    entries = json.loads(file.read_text())["resources"][0]["endpoints"][0]["lb_endpoints"]
    sockets = [entry["endpoint"]["address"]["socket_address"] for entry in entries]
    return [(one["address"], one["port_value"]) for one in sockets]


@pytest.mark.usefixtures("consul")
def test_a_question_by_dns_is_answered(suite: Suite) -> None:
    """Kong asks so, and no token goes with it."""
    name = b"".join(bytes([len(part)]) + part.encode() for part in ("auth", "service", "consul"))
    question = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + name + b"\0" + struct.pack(">2H", 33, 1)

    def asked() -> bytes:
        with socket(AF_INET, SOCK_DGRAM) as client:
            client.settimeout(PATIENCE_SECONDS)
            client.sendto(question, ("127.0.0.1", suite.site.ports["consul_dns"]))
            return client.recv(4096)

    def number(answer: bytes) -> int:
        return int(struct.unpack(">H", answer[6:8])[0])

    answers: list[bytes] = []

    def is_well() -> bool:
        answers.append(asked())
        return number(answers[-1]) > 0

    wait_for(is_well, "auth to be well")  # who is slow to answer Consul's check is left out, for as long as that is so
    assert number(answers[-1]) == 1
    assert struct.pack(">H", suite.site.ports["auth"]) in answers[-1]


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("2f1a6b62-7a3c-4c0e-9d1d-5d3b0c7e9f10", "Consul refuses the token in CONSUL_TOKEN (ACL not found"),
        (None, "Consul refuses whoever has none: CONSUL_TOKEN is not set (Permission denied"),
    ],
)
async def test_a_token_that_is_refused_is_said_to_be(
    consul: httpx.AsyncClient,
    suite: Suite,
    service_client: ServiceClient,
    caplog: pytest.LogCaptureFixture,
    token: str | None,
    said: str,
) -> None:
    place = {"discovery": "consul", "consul_url": str(consul.base_url), "consul_token": token}
    async with service_client("agents", **place) as client:
        # The real one of this address is live, so this one tries to register, and is told.
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not any(said in str(getattr(one, "fields", "")) for one in caplog.records):  # noqa: ASYNC110 - a log
                await asyncio.sleep(0.02)
        checks = (await client.get("/health/ready")).json()["checks"]

    assert checks["consul"]["status"] == "warn"
    assert checks["consul"]["detail"].startswith(said)
    assert (
        instance_of(suite, "agents") in (await consul.get("/v1/agent/services", headers=told(suite, "gateway"))).json()
    )


@pytest.mark.usefixtures("consul")
def test_another_consul_cannot_join_ours(suite: Suite, tmp_path: Path) -> None:
    """As a server it would be handed everything, the tokens too."""
    with another_consul(suite, tmp_path) as other:
        joined = httpx.put(
            f"{other}/v1/agent/join/127.0.0.1:{suite.site.ports['consul_serf']}",
            timeout=PATIENCE_SECONDS,
            verify=authorities(),
        )

    assert joined.status_code == 500
    assert "encrypt" in joined.text.lower(), joined.text


@contextmanager
def another_consul(suite: Suite, folder: Path) -> Iterator[str]:
    """A server of a stranger's, without the key."""
    http, names = free_port(), ("server", "serf_lan")
    ports = {"http": http, "dns": -1, "serf_wan": -1, **{name: free_port() for name in names}}
    own = {"server": True, "bind_addr": "127.0.0.1", "data_dir": str(folder / "data"), "node_name": "stranger"}
    file = folder / "consul.json"
    file.write_text(json.dumps(own | {"ports": ports, "disable_update_check": True, "log_level": "ERR"}))
    with subprocess.Popen([str(binary(suite.site)), "agent", f"-config-file={file}"]) as process:
        try:
            wait_for(lambda: process.poll() is not None or listens(http), "the other Consul")
            yield f"http://127.0.0.1:{http}"
        finally:
            process.kill()
