"""What a tenant has and may have, over the real app and its engines."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser, User
from tests.services.vectors.test_collections import COLLECTIONS, ENGINES
from tests.services.vectors.test_records import DELETE, STORE, store

USAGE = "/api/v1/vectors/usage"
# A vector of two numbers, a text of six bytes, and `{"n":1}`.
RECORD_BYTES = 8 + 6 + 7


def items(*ids: str) -> list[dict[str, Any]]:
    return [{"id": one, "vector": [1, 0], "text": "größ", "metadata": {"n": 1}} for one in ids]


async def used(client: httpx.AsyncClient, **headers: str) -> tuple[int, int, int]:
    answer = await client.get(USAGE, headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["uncounted"] == 0
    return found["collections"], found["records"], found["bytes"]


async def test_usage_follows_what_is_stored_changed_and_deleted(
    client: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    headers = (await register_user()).headers
    assert await used(client, **headers) == (0, 0, 0)
    for engine in ENGINES:
        await client.post(COLLECTIONS, json={"name": engine, "engine": engine, "dimension": 2}, headers=headers)
        await client.post(STORE, json={"collection": engine, "items": items("a", "b")}, headers=headers)
    assert await used(client, **headers) == (3, 6, 6 * RECORD_BYTES)

    place = f"{COLLECTIONS}/faiss/records/a"
    await client.patch(place, json={"metadata": {"n": None, "text": "x" * 10}}, headers=headers)
    await client.post(DELETE, json={"collection": "chroma", "ids": ["a"]}, headers=headers)
    await client.delete(f"{COLLECTIONS}/qdrant", headers=headers)

    assert await used(client, **headers) == (2, 3, 3 * RECORD_BYTES + len('{"text":"xxxxxxxxxx"}') - len('{"n":1}'))


async def test_another_tenants_records_are_not_counted(client: httpx.AsyncClient, register_user: RegisterUser) -> None:
    ours, theirs = [(await register_user()).headers for _ in range(2)]

    await client.post(STORE, json={"collection": "theirs", "items": items("a")}, headers=theirs)

    assert await used(client, **ours) == (0, 0, 0)


async def test_without_quotas_collections_and_files_alone_are_limited(client: httpx.AsyncClient) -> None:
    limits = (await client.get(USAGE)).json()["limits"]

    quotas = {"collections": 1000, "records": None, "bytes": None, "files": 1000, "file_bytes": 10 * 2**30}
    assert limits == quotas | {"one_file_bytes": 100 * 2**20}


def refused(answer: httpx.Response, what: str) -> bool:
    return (answer.status_code, answer.json()["code"]) == (409, "vectors.quota_exceeded") and what in answer.text


async def test_what_would_be_more_records_than_a_tenant_may_have_is_refused(
    open_vectors: ServiceClient, user: User, other_user: User, tmp_path: Path
) -> None:
    async with open_vectors("vectors", data_dir=tmp_path, quota_records=10) as client:
        client.headers.update(user.headers)
        await client.post(COLLECTIONS, json={"name": "full", "engine": "faiss", "dimension": 2})
        assert (await store(client, "full", *items(*"abcdef"))).status_code == 200
        assert (await store(client, "full", *items(*"abcd"))).status_code == 200  # replaced, which is found out
        assert (await store(client, "full", *items(*"ghij"))).status_code == 200

        assert refused(await store(client, "full", *items("k")), "10 records")
        neighbour = {"collection": "theirs", "items": items("a")}
        assert (await client.post(STORE, json=neighbour, headers=other_user.headers)).status_code == 200
        await client.post(DELETE, json={"collection": "full", "ids": ["a", "b"]})
        assert (await store(client, "full", *items("k", "l"))).status_code == 200

        assert (await client.get(USAGE)).json()["records"] == 10
        await client.delete(f"{COLLECTIONS}/full")
        await client.delete(f"{COLLECTIONS}/theirs", headers=other_user.headers)


async def test_many_at_once_do_not_pass_the_limit_together(
    open_vectors: ServiceClient, user: User, tmp_path: Path
) -> None:
    async with open_vectors("vectors", data_dir=tmp_path, quota_records=20) as client:
        client.headers.update(user.headers)
        await client.post(COLLECTIONS, json={"name": "full", "engine": "faiss", "dimension": 2})

        answers = await asyncio.gather(
            *(store(client, "full", *items(*(f"{by}-{at}" for at in range(6)))) for by in range(8))
        )

        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [409] * 5
        assert (await client.get(USAGE)).json()["records"] == 18


async def test_collections_that_are_made_at_once_do_not_pass_the_limit_together(
    open_vectors: ServiceClient, user: User, tmp_path: Path
) -> None:
    async with open_vectors("vectors", data_dir=tmp_path, quota_collections=3) as client:
        client.headers.update(user.headers)
        wanted = [{"name": f"c{at}", "engine": "faiss", "dimension": 2} for at in range(8)]
        answers = await asyncio.gather(*(client.post(COLLECTIONS, json=body) for body in wanted))

        assert sum(answer.status_code == 201 for answer in answers) == 3
        assert all(refused(answer, "3 collections") for answer in answers if answer.status_code != 201)
        assert (await used(client))[0] == 3


async def test_bytes_and_collections_have_limits_of_their_own(
    open_vectors: ServiceClient, user: User, tmp_path: Path
) -> None:
    async with open_vectors("vectors", data_dir=tmp_path, quota_bytes=3 * RECORD_BYTES, quota_collections=1) as client:
        client.headers.update(user.headers)
        await client.post(COLLECTIONS, json={"name": "one", "engine": "faiss", "dimension": 2})

        assert refused(await client.post(COLLECTIONS, json={"name": "two"}), "1 collections")
        assert (await store(client, "one", *items("a", "b", "c"))).status_code == 200
        assert refused(await store(client, "one", *items("d")), f"{3 * RECORD_BYTES} bytes")


async def test_what_an_engine_does_not_tell_is_said_to_be_missing(
    open_vectors: ServiceClient, user: User, tmp_path: Path
) -> None:
    async with open_vectors("vectors", data_dir=tmp_path) as client:
        client.headers.update(user.headers)
        for engine in ("chroma", "faiss"):
            await client.post(COLLECTIONS, json={"name": engine, "engine": engine, "dimension": 2})
            await store(client, engine, *items("a"))
    async with open_vectors("vectors", data_dir=tmp_path, chromadb_url="http://127.0.0.1:9") as client:
        client.headers.update(user.headers)

        found = (await client.get(USAGE)).json()

    assert (found["collections"], found["records"], found["uncounted"]) == (2, 1, 1)
