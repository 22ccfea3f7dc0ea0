"""Many logins of one account from one source at once."""

import asyncio
import secrets

import httpx

from tests.fixtures.identity import register_with


async def test_logins_at_once_never_wait_for_each_other_in_a_circle(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    form = {"grant_type": "password", "username": user.email, "password": user.password}

    async def log_in(source: str) -> int:
        return (await client.post("/api/v1/auth/token", data=form, headers={"X-Real-IP": source})).status_code

    sources = [f"2001:db8:{secrets.token_hex(2)}:{number}::1" for number in range(4)]
    statuses = [await asyncio.gather(*(log_in(source) for _ in range(20))) for source in sources]

    assert {status for some in statuses for status in some} <= {200, 401}
