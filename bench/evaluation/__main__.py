"""`make eval`: what share of the questions is answered, by engine and mode, through the gateway of the suite."""

import asyncio
import secrets

import httpx

from bench.evaluation import API, evaluate
from local.suite import Suite


async def main() -> None:
    suite = Suite.as_started()
    suite.up()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{suite.site.ports['gateway']}", timeout=120) as client:
        await _log_in(client)
        engines = (await client.get(f"{API}/engines")).raise_for_status().json()["items"]
        for engine in engines:
            print(f"{engine['name']}: {engine['backend']}")
            for one in await evaluate(client, engine["name"], engine["modes"]):
                figures = f"first {one.first:2}/{one.questions}   among four {one.among_four:2}/{one.questions}"
                print(f"    {one.mode:8} {figures}", flush=True)


async def _log_in(client: httpx.AsyncClient) -> None:
    email, password = f"eval-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(16)
    (await client.post("/api/v1/auth/register", json={"email": email, "password": password})).raise_for_status()
    form = {"grant_type": "password", "username": email, "password": password}
    token = (await client.post("/api/v1/auth/token", data=form)).raise_for_status().json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"


if __name__ == "__main__":
    asyncio.run(main())
