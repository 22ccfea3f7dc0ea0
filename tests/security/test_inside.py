"""Whom our own processes talk to: nothing is said to whoever cannot prove to be the service that is meant."""

import asyncio
import json
import logging
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager

from gateway.portal.main import create_app
from gateway.portal.settings import Settings as PortalSettings
from local import certificates
from local.certificates import AUTHORITY, certificate
from local.layout import REPOSITORY
from local.suite import Suite
from services.topology import SERVICES
from shared.calls import open_http_client
from shared.discovery import ConsulDiscovery, Registration
from shared.errors import Unavailable
from shared.schemas import new_id
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.fixtures.stores import consul_headers, consul_token
from tests.gateway.running import gateway
from tests.security.inside import WHO, Rogue, calling, genuine, rogue, showing, shown_by, tls_of

SECRET = "the-secret-of-a-caller"
AGENTS = "/api/v1/agents/list"
CAUSES = {
    "of another authority": "unable to get local issuer certificate",
    "self-signed": "self-signed certificate",
    "another service": "Hostname mismatch",
    "a former one": "certificate has expired",
}


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """asyncio tells of each handshake that a caller broke off, which is what is wanted here."""
    logger = logging.getLogger("asyncio")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


# --- Callers ----------------------------------------------------------------------------------------------------------


async def test_a_service_that_proves_itself_is_called(made: Path) -> None:
    async with genuine(tls_of(made, "auth")) as address, calling(tls_of(made, "tasks"), auth=address) as client:
        answer = await client.call("auth", "POST", "/internal/tokens", token=SECRET)

    assert answer.json() == {"it": "answers"}


@pytest.mark.parametrize("who", WHO)
async def test_whoever_is_not_the_service_is_told_nothing(
    made: Path, strange: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, who: str
) -> None:
    shown = shown_by(who, "auth", made, strange, tmp_path)
    async with rogue(shown) as there, calling(tls_of(made, "tasks"), auth=there.address) as client:
        with caplog.at_level(logging.WARNING, "shared.calls"), pytest.raises(Unavailable) as refusal:
            await client.call("auth", "POST", "/internal/tokens", token=SECRET, form={"password": SECRET})

    assert refusal.value.detail == "auth did not prove who it is: its certificate was refused."
    assert there.wanted[0] == "auth"
    assert there.received == b""
    told = [record.fields["cause"] for record in caplog.records if hasattr(record, "fields")]
    assert CAUSES[who] in told[0]


async def test_whoever_speaks_no_tls_is_told_no_secret(made: Path) -> None:
    async with rogue(None) as there, calling(tls_of(made, "tasks"), auth=there.address) as client:
        with pytest.raises(Unavailable):
            await client.call("auth", "POST", "/internal/tokens", token=SECRET)

    assert there.received  # it was greeted, as anybody is
    assert SECRET.encode() not in there.received


async def test_a_connection_to_one_service_is_not_used_for_another(made: Path) -> None:
    """A registry may say that auth is where agents is."""
    async with (
        genuine(tls_of(made, "agents")) as address,
        calling(tls_of(made, "tasks"), agents=address, auth=address) as client,
    ):
        await client.call("agents", "GET", "/kept")
        with pytest.raises(Unavailable, match="did not prove"):
            await client.call("auth", "GET", "/kept")


async def test_the_genuine_one_is_tried_after_a_false_one(made: Path, strange: Path) -> None:
    async with (
        rogue(showing(certificate(strange, "auth"))) as false,
        genuine(tls_of(made, "auth")) as right,
        calling(tls_of(made, "tasks"), auth=f"{false.address},{right}") as client,
    ):
        answers = [await client.call("auth", "POST", "/", token=SECRET) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert false.received == b""


async def test_the_health_check_says_that_it_was_the_certificate(made: Path, strange: Path) -> None:
    async with rogue(showing(certificate(strange, "auth"))) as there, genuine(tls_of(made, "agents")) as other:
        addresses = dict.fromkeys(SERVICES, other) | {"auth": there.address}
        settings = PortalSettings(
            discovery="static",
            static_services=addresses,
            environment="local",
            tls_certificate_file=certificate(made, "portal"),
            tls_key_file=certificate(made, "portal"),
            tls_authority_file=made / AUTHORITY,
        )
        async with LifespanManager(
            create_app(settings), startup_timeout=PATIENCE_SECONDS, shutdown_timeout=PATIENCE_SECONDS
        ) as manager:
            transport = httpx.ASGITransport(manager.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://portal") as portal:
                checks = (await portal.get("/api/v1/health/check")).json()["checks"]

    assert checks["auth"]["detail"] == "auth: its certificate was refused"
    assert checks["agents"]["detail"] == "agents gave an invalid answer"  # which is no health, but was asked for
    assert there.received == b""


async def test_consul_hears_of_a_service_that_speaks_tls_and_checks_it(
    suite: Suite, own: Path, patient_discovery: None
) -> None:
    suite.up(["consul"])
    service = f"svc-{new_id().lower()}"
    certificates.put_missing(own, processes=[service])
    tls = tls_of(own, service)
    patience = PATIENCE_SECONDS
    async with open_http_client(patience) as http, open_http_client(5, tls) as inside, genuine(tls) as address:
        token, port = consul_token(suite), httpx.URL(address).port
        place: dict[str, Any]
        place = {"service": service, "instance_id": service, "host": "127.0.0.1", "port": port, "token": token}
        registered = Registration(suite.url("consul"), http, **place, own=inside)
        discovery = ConsulDiscovery(suite.url("consul"), http, token, scheme="https")
        registered.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await checked(http, suite, service):  # noqa: ASYNC110 - it is in another process
                await asyncio.sleep(0.1)
        known = await discovery.instances(service)
        await registered.deregister()
        await discovery.aclose()

    assert known == [address]


async def checked(http: httpx.AsyncClient, suite: Suite, service: str) -> bool:
    """Whether Consul itself has seen it answer: until then it goes by what it was told."""
    checks = await http.get(f"{suite.url('consul')}/v1/agent/checks", headers=consul_headers(suite))
    found = checks.json().get(f"service:{service}", {})
    return found.get("Status") == "passing" and "200 OK" in found["Output"]


# --- The gateway ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", WHO)
async def test_the_gateway_passes_nothing_on_to_whoever_is_not_the_service(
    made: Path, strange: Path, tmp_path: Path, who: str
) -> None:
    async with rogue(shown_by(who, "agents", made, strange, tmp_path / "shown")) as there:
        answer = await asyncio.to_thread(through_a_gateway, tmp_path, made, there)

    assert answer.status_code == 503
    assert answer.json()["code"] == "common.unavailable"
    assert "agents.service.consul" in there.wanted
    assert there.received == b""


def through_a_gateway(state: Path, believed: Path, there: Rogue) -> httpx.Response:
    """What a caller gets who sends a secret to agents."""
    settings = {"TLS_AUTHORITY_FILE": str(believed / AUTHORITY)}
    with gateway(state, {"agents": there.address}, **settings) as edge:
        return edge.client.get(AGENTS, headers={"Authorization": f"Bearer {SECRET}"})


@pytest.fixture(scope="module")
def inside(suite: Suite) -> Suite:
    """The suite as `make up` has it, with TLS; its stores are those of the other tests."""
    suite.up(["postgres", "redis", "rabbitmq", "neo4j"])
    same = suite.site
    found = Suite(same.layout.home, same.ports.base, {**same.environ, "SUTAZAI_INSIDE_TLS": "on"})
    found.site.certificates.mkdir(mode=0o700, exist_ok=True)
    certificates.put_missing(found.site.certificates)
    return found


@asynccontextmanager
async def processes(inside: Suite, *names: str) -> AsyncIterator[dict[str, str]]:
    """These services as processes that find each other; their addresses."""
    ports = {name: free_port() for name in names}
    addresses = {name: f"https://127.0.0.1:{port}" for name, port in ports.items()}
    async with AsyncExitStack() as stack:
        for name, port in ports.items():
            own = {"DISCOVERY": "static", "STATIC_SERVICES": json.dumps(addresses), "PORT": str(port)}
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"services.{name}", env=inside.environment(name) | own, cwd=REPOSITORY
            )
            stack.push_async_callback(process.wait)
            stack.callback(process.kill)
        await asyncio.gather(*(until_ready(inside, name, address) for name, address in addresses.items()))
        yield addresses


async def until_ready(inside: Suite, name: str, address: str) -> None:
    believed = ssl.create_default_context(cafile=inside.site.certificates / AUTHORITY)
    async with httpx.AsyncClient(verify=believed) as client, asyncio.timeout(60):
        while True:
            try:
                answer = await client.get(f"{address}/health/ready", extensions={"sni_hostname": name})
                if answer.status_code == 200:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            await asyncio.sleep(0.1)


async def test_the_whole_way_is_by_tls(inside: Suite, tmp_path: Path) -> None:
    """Through the gateway to auth and agents, which asks auth for its keys."""
    person = {"email": f"{new_id().lower()}@example.com", "password": "a long enough secret of mine"}
    form = {"grant_type": "password", "username": person["email"], "password": person["password"]}
    agent = {"name": "Guide", "instructions": "Answer."}
    believed = {"TLS_AUTHORITY_FILE": str(inside.site.certificates / AUTHORITY)}

    def walk(addresses: dict[str, str]) -> list[int]:
        with gateway(tmp_path, addresses, **believed) as edge:
            edge.client.timeout = httpx.Timeout(30)
            registered = edge.client.post("/api/v1/auth/register", json=person)
            token = edge.client.post("/api/v1/auth/token", data=form)
            headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
            made = edge.client.post("/api/v1/agents/create", json=agent, headers=headers)
            read = edge.client.get(AGENTS, headers=headers)
        return [answer.status_code for answer in (registered, token, made, read)]

    async with processes(inside, "auth", "agents") as addresses:
        assert await asyncio.to_thread(walk, addresses) == [201, 200, 201, 200]
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=authorities()) as plain:
            with pytest.raises(httpx.RemoteProtocolError):
                await plain.get(addresses["auth"].replace("https:", "http:") + "/health/live")
