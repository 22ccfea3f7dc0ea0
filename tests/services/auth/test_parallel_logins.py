"""Logins of one account at the same time."""

import asyncio
from collections import Counter

import httpx

from tests.fixtures.identity import register_with

TOKEN = "/api/v1/auth/token"


async def test_logins_at_once_never_wait_for_each_other_in_a_circle(client: httpx.AsyncClient) -> None:
    users = [await register_with(client)() for _ in range(4)]  # the rows' order is by hash: half of them either way
    forms = [{"grant_type": "password", "username": user.email, "password": user.password} for user in users]

    answers = await asyncio.gather(*(client.post(TOKEN, data=form) for form in forms for _ in range(4)))

    assert Counter(answer.status_code for answer in answers) == {200: 16}


async def test_one_person_may_log_in_from_many_places_at_once(client: httpx.AsyncClient) -> None:
    """More than the failures that cost nothing, because a right login counts only until it was seen to be right."""
    user = await register_with(client)()
    form = {"grant_type": "password", "username": user.email, "password": user.password}

    answers = await asyncio.gather(*(client.post(TOKEN, data=form) for _ in range(30)))

    assert Counter(answer.status_code for answer in answers) == {200: 30}
