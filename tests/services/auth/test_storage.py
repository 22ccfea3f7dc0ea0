"""auth on a disk that is nearly full: nobody logs in anew, and whoever is in goes on, services and API keys too."""

from pathlib import Path

import httpx

from local.suite import Suite
from tests.fixtures.apps import ServiceClient
from tests.fixtures.disks import small_disk
from tests.fixtures.identity import User
from tests.fixtures.readiness import until_check

TOKEN = "/api/v1/auth/token"


async def test_logins_are_refused_and_tokens_in_hand_go_on(
    service_client: ServiceClient, auth: httpx.AsyncClient, suite: Suite, user: User, tmp_path: Path
) -> None:
    login = {"grant_type": "password", "username": user.email, "password": user.password}
    service = ("chat", suite.secrets.client_secrets["chat"])
    with small_disk(tmp_path / "disk", 16) as disk:
        async with service_client("auth", storage_folders=str(disk.path), storage_floor_mib=4) as client:
            key = await client.post(
                "/api/v1/auth/api-keys", json={"name": "k", "scopes": ["auth:profile"]}, headers=user.headers
            )
            disk.fill(free_mib=2)
            await until_check(client, "storage", "warn")

            refused = [
                await client.post(TOKEN, data=login),
                await client.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": user.refresh_token}),
                await client.post("/api/v1/auth/register", json={"email": "x@example.com", "password": user.password}),
                await client.patch("/api/v1/auth/me", json={"name": "x"}, headers=user.headers),
            ]
            assert {(one.status_code, one.json()["code"]) for one in refused} == {(507, "common.storage_full")}
            assert (await client.get("/api/v1/auth/me", headers=user.headers)).status_code == 200
            by_key = await client.get("/api/v1/auth/me", headers={"X-API-Key": key.json()["key"]})
            assert by_key.status_code == 200
            as_service = await client.post(TOKEN, data={"grant_type": "client_credentials"}, auth=service)
            assert as_service.status_code == 200
            again = await client.post(TOKEN, data=login)
            assert again.status_code == 507

            disk.free()
            await until_check(client, "storage", "pass")
            back = await client.post(TOKEN, data=login)
            assert back.status_code == 200
            leaving = {"Authorization": f"Bearer {back.json()['access_token']}"}

            disk.fill(free_mib=2)
            await until_check(client, "storage", "warn")
            assert (await client.post("/api/v1/auth/logout", headers=leaving)).status_code == 204
