"""S20: where a request comes from is said by the gateway alone; who reaches a service's port says nothing of it."""

import secrets
from collections.abc import AsyncIterator

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.apps import ServiceClient
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.sources import passed_on_from
from tests.security.conftest import LogIn

CALLER, CLAIMED = "127.0.0.7", "198.51.100.7"
TOKEN, AUDIT = "/api/v1/auth/token", "/api/v1/auth/audit"
FORGED = {
    "the address": {"X-Real-IP": CLAIMED},
    "the address twice": {"X-Real-IP": CLAIMED, "x-real-ip": "198.51.100.8"},
    "an address and a token": {"X-Real-IP": CLAIMED, "X-Gateway-Token": "a" * 40},
    "what proxies say": {"X-Forwarded-For": CLAIMED, "Forwarded": f"for={CLAIMED}", "X-Client-IP": CLAIMED},
}


@pytest.fixture
async def admin(gateway: httpx.AsyncClient, as_admin: LogIn) -> AsyncIterator[httpx.AsyncClient]:
    headers = await as_admin(frozenset({"admin"}))
    async with httpx.AsyncClient(
        base_url=gateway.base_url, headers=headers, timeout=PATIENCE_SECONDS, verify=authorities()
    ) as client:
        yield client


@pytest.mark.parametrize("claims", FORGED.values(), ids=list(FORGED))
@pytest.mark.parametrize("place", ["gateway", "auth"])
async def test_a_claim_changes_no_source(
    admin: httpx.AsyncClient, suite: Suite, place: str, claims: dict[str, str]
) -> None:
    """Asked of the audit log, which has the source of every registration."""
    email = f"{secrets.token_hex(8)}@example.com"
    transport = httpx.AsyncHTTPTransport(local_address=CALLER, verify=authorities())
    url = f"http://127.0.0.1:{suite.site.ports[place]}"
    async with httpx.AsyncClient(
        base_url=url, transport=transport, headers=list(claims.items()), timeout=PATIENCE_SECONDS
    ) as caller:
        body = {"email": email, "password": secrets.token_hex(16)}
        made = (await caller.post("/api/v1/auth/register", json=body)).raise_for_status().json()

    found = (await admin.get(AUDIT, params={"target": made["id"]})).raise_for_status().json()

    assert {entry["source"] for entry in found["items"]} == {CALLER}


async def test_whoever_forges_addresses_is_limited_by_their_own(
    suite: Suite, service_client: ServiceClient, patient_limits: None
) -> None:
    suite.up(["postgres", "redis-cache"])
    async with service_client("auth", rate_limit_anonymous="7 per 10 minutes") as client:
        forged = [{"X-Real-IP": f"198.51.100.{number}"} for number in range(1, 10)]
        found = [(await client.post(TOKEN, headers=headers)).status_code for headers in forged]
        by_the_gateway = await client.post(TOKEN, headers=passed_on_from("198.51.100.1"))

    assert found == [400] * 7 + [429] * 2
    assert by_the_gateway.status_code == 400
