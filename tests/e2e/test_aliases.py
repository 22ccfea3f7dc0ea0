"""Readers of an alias change over to another collection through the gateway, and none of them meets an error."""

import asyncio

import httpx

from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS

API = "/api/v1/vectors"


async def test_readers_of_an_alias_change_over_without_a_failed_read(gateway: httpx.AsyncClient, user: User) -> None:
    mark = new_id()[-12:]
    old, new, alias = f"old-{mark}", f"new-{mark}", f"alias-{mark}"
    for name, engine in ((old, "faiss"), (new, "qdrant")):
        body = {"name": name, "engine": engine, "dimension": 2}
        (await gateway.post(f"{API}/collections", json=body, headers=user.headers)).raise_for_status()
        stored = {"collection": name, "items": [{"id": name, "vector": [1, 0]}]}
        (await gateway.post(f"{API}/store", json=stored, headers=user.headers)).raise_for_status()
    place = f"{API}/aliases/{alias}"
    made = await gateway.put(place, json={"collection": old}, headers=user.headers)
    over, met = asyncio.Event(), list[tuple[int, str]]()

    async def read() -> None:
        search = {"collection": alias, "vector": [1, 0]}
        while not over.is_set():
            answer = await gateway.post(f"{API}/search", json=search, headers=user.headers)
            met.append((answer.status_code, answer.json().get("collection", answer.text)))

    async def until(collection: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (200, collection) not in met:  # noqa: ASYNC110 - the readers read
                await asyncio.sleep(0.01)

    tagged = user.headers | {"If-Match": made.headers["ETag"]}
    async with asyncio.TaskGroup() as readers:  # which one that fails ends for all
        for _ in range(4):
            readers.create_task(read())
        await until(old)
        switched = await gateway.put(place, json={"collection": new}, headers=tagged)
        gone = await gateway.delete(f"{API}/collections/{old}", headers=user.headers)
        await until(new)
        over.set()
    listed = (await gateway.get(f"{API}/aliases", params={"limit": "100"}, headers=user.headers)).json()
    read_again = await gateway.get(place, headers=user.headers)
    refused = await gateway.delete(place, headers=tagged)
    deleted = await gateway.delete(place, headers=user.headers)

    assert (made.status_code, switched.status_code, gone.status_code) == (201, 200, 204)
    assert set(met) == {(200, old), (200, new)}
    assert read_again.json() in listed["items"]
    assert read_again.headers["ETag"] == switched.headers["ETag"] != made.headers["ETag"]
    assert (refused.status_code, deleted.status_code) == (412, 204)
