"""What the health check promises about each component, by breaking them one after another."""

import asyncio
from typing import Any

import httpx
import pytest

from gateway.portal import health
from services.topology import SERVICES, STORES
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.working_time import working_time
from tests.portal.conftest import Machine, System, a_portal

FOURTEEN = {*SERVICES, *STORES, "consul", "kong"}
AS_SHIPPED = health.PROBE_SECONDS


async def report(portal: httpx.AsyncClient) -> tuple[int, dict[str, Any]]:
    answer = await portal.get("/api/v1/health/check")
    assert answer.headers["content-type"] == "application/health+json"
    return answer.status_code, answer.json()


def not_passing(body: dict[str, Any]) -> dict[str, str]:
    return {name: check["status"] for name, check in body["checks"].items() if check["status"] != "pass"}


async def test_all_fourteen_components_are_checked(portal: httpx.AsyncClient) -> None:
    status, body = await report(portal)

    assert status == 200
    assert set(body["checks"]) == FOURTEEN
    assert len(FOURTEEN) == 14
    assert not_passing(body) == {"consul": "warn"}  # there is none here, and the answer says so
    assert all(body["checks"][service]["instances"] == 1 for service in SERVICES)


async def test_a_soft_store_that_is_down_only_warns(system: System, portal: httpx.AsyncClient) -> None:
    system["vectors"].breaks("chromadb", soft=True)

    status, body = await report(portal)

    assert (status, body["status"]) == (200, "warn")
    assert not_passing(body) == {"vectors": "warn", "chromadb": "warn", "consul": "warn"}
    assert body["checks"]["vectors"]["detail"] == "chromadb: chromadb does not answer"


@pytest.mark.parametrize(
    ("service", "store"), [(service.name, store) for service in SERVICES.values() for store in service.stores]
)
async def test_a_hard_store_that_is_down_fails_the_system(system: System, service: str, store: str) -> None:
    system[service].breaks(store)

    async with a_portal(system) as portal:
        status, body = await report(portal)

    assert (status, body["status"]) == (503, "fail")
    assert not_passing(body) == {service: "fail", store: "fail", "consul": "warn"}


async def test_a_service_that_is_away_takes_its_stores_with_it(system: System) -> None:
    system.instances["agents"] = []

    async with a_portal(system) as portal:
        status, body = await report(portal)

    assert status == 503
    assert not_passing(body) == {"agents": "fail", "neo4j": "fail", "consul": "warn"}
    assert body["checks"]["agents"] | {"latency_ms": 0} == {
        "status": "fail",
        "latency_ms": 0,
        "detail": "no instance is known",
        "instances": 0,
    }
    assert body["checks"]["neo4j"]["detail"] == "unknown: agents did not report it"


async def test_a_refused_connection_is_a_service_that_does_not_answer(system: System) -> None:
    services = system.static_services | {"chat": "http://127.0.0.1:1"}

    async with a_portal(system, static_services=services) as portal:
        _, body = await report(portal)

    assert not_passing(body) == {"chat": "fail", "redis": "fail", "consul": "warn"}
    assert body["checks"]["chat"]["detail"] == "chat does not answer"


async def test_a_store_of_two_services_is_known_while_one_of_them_answers(system: System) -> None:
    system.instances["auth"] = []

    async with a_portal(system) as portal:
        _, body = await report(portal)

    assert not_passing(body) == {"auth": "fail", "consul": "warn"}


@pytest.mark.parametrize("check", ["storage", "outbox", "queue"])
async def test_what_is_no_store_is_told_by_its_service(system: System, portal: httpx.AsyncClient, check: str) -> None:
    system["tasks"].breaks(check, soft=True)

    status, body = await report(portal)

    assert (status, body["checks"]["tasks"]["status"]) == (200, "warn")
    assert body["checks"]["tasks"]["detail"] == f"{check}: {check} does not answer"


async def test_a_hanging_service_costs_its_limit_and_nothing_else(
    system: System, portal: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", AS_SHIPPED)
    monkeypatch.setattr(health, "_KEPT_SECONDS", 0.0)
    system["tasks"].hangs()
    suspects = dict[str, str]()

    async with asyncio.timeout(PATIENCE_SECONDS):  # where all stood still for the limit, all are suspected once
        while suspects != {"tasks": "fail", "rabbitmq": "fail", "consul": "warn"}:
            async with working_time() as took:
                _, body = await report(portal)
            assert took.seconds < 6
            suspects = not_passing(body)


async def test_one_of_two_replicas_down_is_a_warning(machine: Machine, system: System) -> None:
    with machine.instance("agents") as second:
        system.instances["agents"].append(second)
        second.breaks("neo4j")
        async with a_portal(system) as portal:
            status, body = await report(portal)

    agents = body["checks"]["agents"]
    assert (status, agents["status"], agents["instances"]) == (200, "warn", 2)
    assert agents["detail"] == "1 of 2 instances: neo4j: neo4j does not answer"
    assert body["checks"]["neo4j"]["status"] == "warn"


async def test_nonsense_from_a_service_is_a_failure(system: System, portal: httpx.AsyncClient) -> None:
    system["chat"].stores["redis"] = "splendid"

    _, body = await report(portal)

    assert body["checks"]["chat"]["detail"] == "chat gave an invalid answer"


async def test_a_gateway_whose_status_address_is_silent_fails(system: System) -> None:
    async with a_portal(system, gateway_status_url="http://127.0.0.1:1/ready") as portal:
        status, body = await report(portal)

    assert (status, body["checks"]["kong"]["status"]) == (503, "fail")


async def test_without_a_status_address_the_gateway_is_a_warning(system: System) -> None:
    async with a_portal(system, gateway_status_url=None) as portal:
        status, body = await report(portal)

    assert (status, body["checks"]["kong"]["status"]) == (200, "warn")
    assert "GATEWAY_STATUS_URL" in body["checks"]["kong"]["detail"]


async def test_many_callers_cost_one_question(system: System, portal: httpx.AsyncClient) -> None:
    await asyncio.gather(*(report(portal) for _ in range(100)))

    assert {name: system[name].asked for name in SERVICES} == dict.fromkeys(SERVICES, 1)


async def test_the_portal_itself_is_ready_whatever_the_services_are(system: System) -> None:
    system.instances = {name: [] for name in SERVICES}

    async with a_portal(system) as portal:
        answer = await portal.get("/health/ready")

    assert answer.status_code == 200
