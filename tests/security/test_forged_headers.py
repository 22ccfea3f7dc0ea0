"""S15: who calls is decided by the token alone; headers that claim an identity mean nothing, outside and inside."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.topology import SERVICES
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.inside import client_of
from tests.security.belongings import KINDS, Tenant, places
from tests.security.spec import FOR_ADMINS, OPERATIONS, PROTECTED, Operation

PLACES = ("gateway", "services")
# A read of each kind shows whose records a caller is given; operations that list or read need no body.
READS = [one for one in PROTECTED if one.method == "GET" and not FOR_ADMINS & set(one.scopes)]


def forged(user: User) -> dict[str, str]:
    """Every header by which a gateway or proxy is known to claim an identity, claiming to be `user`."""
    return {
        **dict.fromkeys(("X-User-Id", "X-User", "X-Forwarded-User", "X-Remote-User", "Remote-User"), user.user_id),
        **dict.fromkeys(("X-Authenticated-Userid", "X-Authenticated-User", "X-Subject", "X-Actor"), user.user_id),
        **dict.fromkeys(("X-Consumer-Id", "X-Consumer-Custom-Id", "X-Credential-Identifier"), user.user_id),
        **dict.fromkeys(("X-Tenant-Id", "X-Tenant", "X-Org-Id", "X-Consumer-Groups"), user.tenant_id),
        **dict.fromkeys(("X-Scope", "X-Scopes", "X-Authenticated-Scope", "X-Roles"), "admin auth:profile"),
        **dict.fromkeys(("X-Consumer-Username", "X-Forwarded-Email", "X-Authenticated-Groups"), user.email),
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Access-Token": user.token,
        "Proxy-Authorization": f"Bearer {user.token}",
        "Cookie": f"access_token={user.token}; session={user.refresh_token}",
    }


@pytest.fixture
async def services(suite: Suite, gateway: httpx.AsyncClient) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Every service by itself, as only other services reach it."""
    clients = {name: client_of(suite, name) for name in SERVICES}
    yield clients
    for client in clients.values():
        await client.aclose()


def at(
    place: str, gateway: httpx.AsyncClient, services: dict[str, httpx.AsyncClient], operation: Operation
) -> httpx.AsyncClient:
    return gateway if place == "gateway" else services[service_of(operation)]


def service_of(operation: Operation) -> str:
    return operation.id.partition("_")[0]


@pytest.mark.parametrize("place", PLACES)
async def test_without_a_token_they_open_nothing(
    gateway: httpx.AsyncClient, services: dict[str, httpx.AsyncClient], user: User, place: str
) -> None:
    async def status(operation: Operation) -> int:
        client = at(place, gateway, services, operation)
        return (await client.request(operation.method, operation.filled(), headers=forged(user))).status_code

    answers = {str(operation): await status(operation) for operation in PROTECTED}

    assert answers == dict.fromkeys(answers, 401)
    assert len(answers) == len(PROTECTED) > 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("place", PLACES)
async def test_beside_a_token_they_change_nothing(
    gateway: httpx.AsyncClient, services: dict[str, httpx.AsyncClient], register_user: RegisterUser, place: str
) -> None:
    """Asked for another's records with one's own token and the other's name in every header.

    By somebody new: what others have done before may still come to be shown between two looks.
    """
    user, other = await register_user(), await register_user()
    owner = Tenant(gateway, user)
    for kind in KINDS:
        await owner.id_of(kind)
    different = {}
    for operation in READS:
        client = at(place, gateway, services, operation)
        path = operation.filled({place.name: owner.owned[place.kind.name] for place in places(operation) if place.kind})
        own = Tenant(client, other)
        await own.call("GET", path)  # a log that tells of its first reader tells both the same
        plain = await own.call("GET", path)
        claiming = await own.call("GET", path, headers=forged(user))
        if seen(claiming) != seen(plain):
            different[str(operation)] = claiming.text

    assert different == {}


def seen(answer: httpx.Response) -> tuple[int, dict[str, Any]]:
    if answer.is_success and not answer.content.startswith(b"{"):  # events; of another's there are none
        return answer.status_code, {"events": answer.text.count("event:")}
    return answer.status_code, {name: member for name, member in answer.json().items() if name != "trace_id"}


async def test_one_stays_oneself(services: dict[str, httpx.AsyncClient], user: User, other_user: User) -> None:
    answer = await services["auth"].get("/api/v1/auth/me", headers=other_user.headers | forged(user))

    assert (answer.json()["id"], answer.json()["tenant_id"]) == (other_user.user_id, other_user.tenant_id)


async def test_no_scope_comes_from_a_header(services: dict[str, httpx.AsyncClient], user: User) -> None:
    for_admins = [one for one in OPERATIONS if FOR_ADMINS & set(one.scopes)]

    answers = [
        await services[service_of(one)].request(one.method, one.filled(), headers=user.headers | forged(user))
        for one in for_admins
    ]

    assert {answer.status_code for answer in answers} <= {403}
