"""What auth limits: anonymous operations by their source, keys by their own share."""

import secrets

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User
from tests.fixtures.sources import passed_on_from

REGISTER, TOKEN, ME, KEYS = (f"/api/v1/auth/{name}" for name in ("register", "token", "me", "api-keys"))


def _source() -> dict[str, str]:
    return passed_on_from(".".join(str(part) for part in (10, *secrets.token_bytes(3))))


@pytest.mark.parametrize(("path", "refused"), [(REGISTER, 422), (TOKEN, 400)])
async def test_an_anonymous_operation_is_limited_by_its_source(
    suite: Suite, service_client: ServiceClient, patient_limits: None, path: str, refused: int
) -> None:
    suite.up(["postgres", "redis-cache"])
    source = _source()
    async with service_client("auth", rate_limit_anonymous="3 per 24 hours") as client:
        found = [(await client.post(path, headers=source)).status_code for _ in range(4)]
        elsewhere = await client.post(path, headers=_source())

    assert found == [refused, refused, refused, 429]
    assert elsewhere.status_code == refused


async def test_register_and_token_share_their_sources_limit(
    suite: Suite, service_client: ServiceClient, patient_limits: None
) -> None:
    suite.up(["postgres", "redis-cache"])
    source = _source()
    async with service_client("auth", rate_limit_anonymous="2 per 24 hours") as client:
        found = [(await client.post(path, headers=source)).status_code for path in (REGISTER, TOKEN, TOKEN)]

    assert found == [422, 400, 429]


async def test_a_key_is_told_its_own_limit_and_its_owners(client: httpx.AsyncClient, user: User) -> None:
    body = {"name": "ci", "scopes": ["auth:profile"]}
    key = (await client.post(KEYS, json=body, headers=user.headers)).json()["key"]

    answer = await client.get(ME, headers={"X-API-Key": key})

    assert answer.headers["ratelimit-policy"] == '"read-key";q=3000;w=60, "read";q=6000;w=60'
