"""Logins in a crowd, each as costly as in an installation."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.apps import ServiceClient
from tests.services.auth.shipped import AS_SHIPPED

PASSWORD = "correct horse battery staple 4711"
PEOPLE = 24


@pytest.fixture
async def client(suite: Suite, service_client: ServiceClient) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["postgres", "redis-cache"])
    async with service_client("auth", **AS_SHIPPED) as client:
        yield client


async def test_people_who_log_in_at_once_from_one_address_are_never_held_off(client: httpx.AsyncClient) -> None:
    emails = [f"storm-{number}@example.com" for number in range(PEOPLE)]
    for email in emails:
        (await client.post("/api/v1/auth/register", json={"email": email, "password": PASSWORD})).raise_for_status()

    async def log_in(email: str) -> int:
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        return (await client.post("/api/v1/auth/token", data=form)).status_code

    statuses = await asyncio.gather(*(log_in(email) for email in emails))

    assert set(statuses) == {200}
