"""Many callers at once."""

import asyncio
from collections import Counter

import httpx

from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.agents.conftest import AGENTS, Create


async def test_of_many_creations_of_one_name_one_succeeds(client: httpx.AsyncClient, user: User) -> None:
    body = {"name": f"Contested {new_id()}", "instructions": "x", "capabilities": [f"c{number}" for number in range(9)]}

    answers = await asyncio.gather(
        *(client.post(f"{AGENTS}/create", json=body, headers=user.headers) for _ in range(20))
    )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}


async def test_agents_with_the_same_new_capabilities_are_created_at_once(client: httpx.AsyncClient, user: User) -> None:
    capabilities = [f"new-{new_id()[-12:]}-{number}" for number in range(10)]
    bodies = [
        {"name": f"Parallel {new_id()}", "instructions": "x", "capabilities": order}
        for order in (capabilities, capabilities[::-1]) * 10
    ]

    answers = await asyncio.gather(
        *(client.post(f"{AGENTS}/create", json=body, headers=user.headers) for body in bodies)
    )
    listed = await client.get(f"{AGENTS}/list", params={"capability": capabilities[3]}, headers=user.headers)

    assert {answer.status_code for answer in answers} == {201}
    assert len(listed.json()["items"]) == 20


async def test_no_update_is_lost(client: httpx.AsyncClient, user: User, create: Create) -> None:
    agent = await create("Counted")
    path = f"{AGENTS}/{agent['id']}"

    answers = await asyncio.gather(
        *(client.patch(path, json={"description": f"change {n}"}, headers=user.headers) for n in range(15))
    )

    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 17))
    assert (await client.get(path, headers=user.headers)).json()["version"] == 16


async def test_of_many_changes_to_one_version_one_succeeds(
    client: httpx.AsyncClient, user: User, create: Create
) -> None:
    path = f"{AGENTS}/{(await create('Raced'))['id']}"
    headers = user.headers | {"If-Match": '"1"'}

    answers = await asyncio.gather(
        *(client.patch(path, json={"description": f"change {n}"}, headers=headers) for n in range(10))
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 9}


async def test_a_change_that_meets_a_deletion_finds_no_agent(
    client: httpx.AsyncClient, user: User, create: Create
) -> None:
    for round_number in range(5):
        path = f"{AGENTS}/{(await create(f'Doomed {round_number}'))['id']}"

        deleted, *changed = await asyncio.gather(
            client.delete(path, headers=user.headers),
            *(client.patch(path, json={"description": f"change {n}"}, headers=user.headers) for n in range(6)),
        )

        assert deleted.status_code == 204
        assert {answer.status_code for answer in changed} <= {200, 404}
        assert (await client.get(path, headers=user.headers)).status_code == 404
