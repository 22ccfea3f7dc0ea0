import asyncio

import httpx

PASSWORD = "correct horse battery staple 4711"
PEOPLE = 24


async def test_people_who_log_in_at_once_from_one_address_are_never_held_off(client: httpx.AsyncClient) -> None:
    emails = [f"storm-{number}@example.com" for number in range(PEOPLE)]
    for email in emails:
        (await client.post("/api/v1/auth/register", json={"email": email, "password": PASSWORD})).raise_for_status()

    async def log_in(email: str) -> int:
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        return (await client.post("/api/v1/auth/token", data=form)).status_code

    statuses = await asyncio.gather(*(log_in(email) for email in emails))

    assert set(statuses) == {200}
