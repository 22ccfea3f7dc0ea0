"""`/vectors/aliases`, and aliases wherever the name of a collection may stand, over the real app and its engines."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.adapters.faiss import FaissEngine
from services.vectors.aliases.service import AliasService
from services.vectors.collections.calling import on_engine
from services.vectors.collections.domain import Named
from services.vectors.collections.schemas import CollectionCreate
from services.vectors.collections.service import CollectionService
from services.vectors.domain import EngineName
from shared.resources import CursorCodec
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser, User
from tests.services.vectors.test_collections import COLLECTIONS, ENGINES
from tests.services.vectors.test_races import NobodyListens, a_caller

API = "/api/v1/vectors"
ALIASES = f"{API}/aliases"
Answer = tuple[int, str | None]


@pytest.fixture
def mark() -> str:
    """What makes a test's names its own."""
    return new_id()[-12:]


async def have(client: httpx.AsyncClient, name: str, *ids: str, engine: str = "faiss") -> None:
    body = {"name": name, "engine": engine, "dimension": 2}
    assert (await client.post(COLLECTIONS, json=body)).status_code == 201
    if not ids:
        return
    items = [{"id": one, "vector": [1, 0], "metadata": {"of": name}} for one in ids]
    stored = await client.post(f"{API}/store", json={"collection": name, "items": items})
    assert stored.is_success, stored.text


async def point(client: httpx.AsyncClient, alias: str, collection: str, **headers: str) -> httpx.Response:
    return await client.put(f"{ALIASES}/{alias}", json={"collection": collection}, headers=headers)


async def found(client: httpx.AsyncClient, name: str) -> Any:
    answer = await client.post(f"{API}/search", json={"collection": name, "vector": [1, 0]})
    return (answer.json()["collection"], [one["id"] for one in answer.json()["results"]])


def code(answer: httpx.Response) -> Answer:
    return answer.status_code, None if answer.is_success else answer.json()["code"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_alias_serves_wherever_a_name_does_and_answers_name_the_collection(
    client: httpx.AsyncClient, mark: str, engine: str
) -> None:
    blue, alias = f"blue-{mark}", f"now-{mark}"
    await have(client, blue, "a", "b", engine=engine)
    assert code(await point(client, alias, blue)) == (201, None)
    records = f"{COLLECTIONS}/{alias}/records"

    item = {"id": "c", "vector": [1, 0]}
    stored = (await client.post(f"{API}/store", json={"collection": alias, "items": [item]})).json()
    search = {"collection": alias, "vector": [1, 0]}
    searched = (await client.post(f"{API}/search/batch", json={"searches": [search]})).json()["results"][0]
    listed = (await client.get(records, params={"count": "true"})).json()
    changed = await client.patch(f"{records}/a", json={"metadata": {"is": "read"}})
    one = await client.delete(f"{records}/b")
    many = (await client.post(f"{API}/delete", json={"collection": alias, "ids": ["c"]})).json()

    assert (stored["collection"], searched["collection"], many["collection"]) == (blue, blue, blue)
    assert await found(client, alias) == (blue, ["a"])
    assert (len(searched["results"]), listed["count"], one.status_code, many["deleted"]) == (3, 3, 204, 1)
    assert (await client.get(f"{records}/a")).json()["metadata"] == changed.json()["metadata"] != {}
    assert (await client.get(f"{COLLECTIONS}/{alias}")).json() == (await client.get(f"{COLLECTIONS}/{blue}")).json()
    assert blue in (await client.get(f"{records}/none")).json()["detail"]


async def test_after_a_switch_every_request_finds_the_new_one(client: httpx.AsyncClient, mark: str) -> None:
    blue, green, alias = f"blue-{mark}", f"green-{mark}", f"now-{mark}"
    await have(client, blue, "old")
    await have(client, green, "new", engine="qdrant")
    await point(client, alias, blue)
    assert await found(client, alias) == (blue, ["old"])

    for _ in range(3):
        assert code(await point(client, alias, green)) == (200, None)
        assert await found(client, alias) == (green, ["new"])
        assert code(await point(client, alias, blue)) == (200, None)
        assert await found(client, alias) == (blue, ["old"])
    read = (await client.get(f"{ALIASES}/{alias}")).json()
    assert (read["name"], read["collection"]) == (alias, blue)
    assert read["created_at"] < read["updated_at"]


async def test_collections_and_aliases_share_their_names(client: httpx.AsyncClient, mark: str) -> None:
    blue, green, alias = f"blue-{mark}", f"green-{mark}", f"now-{mark}"
    await have(client, blue)
    await have(client, green)
    await point(client, alias, blue)

    assert code(await point(client, green, blue)) == (409, "vectors.collection_exists")
    assert code(await point(client, blue, blue)) == (409, "vectors.collection_exists")
    made = await client.post(COLLECTIONS, json={"name": alias, "engine": "faiss", "dimension": 2})
    assert code(made) == (409, "vectors.alias_exists")
    assert blue in made.json()["detail"]


async def test_of_a_collection_and_an_alias_at_once_one_gets_the_name(client: httpx.AsyncClient, mark: str) -> None:
    blue = f"blue-{mark}"
    await have(client, blue)

    for at in range(5):
        name = f"name-{at}-{mark}"
        body = {"name": name, "engine": "faiss", "dimension": 2}
        answers = await asyncio.gather(client.post(COLLECTIONS, json=body), point(client, name, blue))
        assert sorted(answer.status_code for answer in answers) == [201, 409]


async def test_a_collection_is_not_deleted_while_an_alias_points_to_it(client: httpx.AsyncClient, mark: str) -> None:
    blue, green, alias = f"blue-{mark}", f"green-{mark}", f"now-{mark}"
    await have(client, blue, "a")
    await have(client, green, "b")
    await point(client, alias, blue)

    for name in (blue, alias):
        refused = await client.delete(f"{COLLECTIONS}/{name}")
        assert code(refused) == (409, "vectors.collection_aliased")
        assert alias in refused.json()["detail"]
        assert blue in refused.json()["detail"]
    assert await found(client, alias) == (blue, ["a"])

    await point(client, alias, green)
    assert (await client.delete(f"{COLLECTIONS}/{blue}")).status_code == 204
    assert (await client.delete(f"{ALIASES}/{alias}")).status_code == 204
    assert await found(client, green) == (green, ["b"]), "an alias goes alone"
    assert code(await client.delete(f"{ALIASES}/{alias}")) == (404, "vectors.alias_not_found")
    assert code(await client.get(f"{ALIASES}/{alias}")) == (404, "vectors.alias_not_found")
    assert code(await client.get(f"{COLLECTIONS}/{alias}")) == (404, "vectors.collection_not_found")


async def test_a_tag_tells_one_switch_from_another(client: httpx.AsyncClient, mark: str) -> None:
    blue, green, alias = f"blue-{mark}", f"green-{mark}", f"now-{mark}"
    await have(client, blue)
    await have(client, green)
    failed = (412, "common.precondition_failed")
    for tag in ('"none"', "*"):
        assert code(await point(client, alias, blue, **{"If-Match": tag})) == failed
    made = await point(client, alias, blue)
    first = made.headers["ETag"]
    assert made.headers["Location"] == f"{ALIASES}/{alias}"
    assert (await client.get(f"{ALIASES}/{alias}")).headers["ETag"] == first
    assert (await point(client, alias, blue)).headers["ETag"] == first, "it pointed there already"

    answers = await asyncio.gather(*(point(client, alias, green, **{"If-Match": first}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    await point(client, alias, blue)
    assert code(await point(client, alias, green, **{"If-Match": first})) == failed, "it came back, and is another"
    assert code(await client.delete(f"{ALIASES}/{alias}", headers={"If-Match": first})) == failed
    assert code(await point(client, alias, green, **{"If-Match": "*"})) == (200, None)
    current = {"If-Match": (await client.get(f"{ALIASES}/{alias}")).headers["ETag"]}
    assert (await client.delete(f"{ALIASES}/{alias}", headers=current)).status_code == 204


async def test_an_alias_points_to_a_collection_by_its_own_name(client: httpx.AsyncClient, mark: str) -> None:
    blue, alias = f"blue-{mark}", f"now-{mark}"
    await have(client, blue)
    await point(client, alias, blue)

    for target in (alias, f"none-{mark}"):
        assert code(await point(client, f"other-{mark}", target)) == (404, "vectors.collection_not_found")
    unknown = await client.put(f"{ALIASES}/{alias}", json={"collection": blue, "engine": "faiss"})
    assert unknown.status_code == (await point(client, "Upper", blue)).status_code == 422


async def test_a_list_follows_the_cursor_and_a_neighbour_meets_nothing(
    client: httpx.AsyncClient, register_user: RegisterUser, mark: str
) -> None:
    ours, theirs = [(await register_user()).headers for _ in range(2)]
    await client.post(COLLECTIONS, json={"name": "blue", "engine": "faiss"}, headers=ours)
    names = ["alpha", "bravo", "charlie"]
    for name in reversed(names):
        assert (await point(client, name, "blue", **ours)).status_code == 201

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while len(seen) < 4:
        page = (await client.get(ALIASES, params={"limit": "2", **cursor}, headers=ours)).json()
        seen += [one["name"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == names
    assert (await client.get(ALIASES, headers=theirs)).json()["items"] == []
    assert code(await client.get(f"{ALIASES}/alpha", headers=theirs)) == (404, "vectors.alias_not_found")
    assert code(await client.delete(f"{ALIASES}/alpha", headers=theirs)) == (404, "vectors.alias_not_found")
    assert code(await point(client, "alpha", "blue", **theirs)) == (404, "vectors.collection_not_found")
    search = {"collection": "alpha", "query": "tea"}
    assert (await client.post(f"{API}/search", json=search, headers=theirs)).status_code == 404


async def test_a_tenant_may_have_as_many_aliases_as_collections(
    open_vectors: ServiceClient, tmp_path: Path, user: User
) -> None:
    async with open_vectors("vectors", data_dir=tmp_path, quota_collections=2) as client:
        client.headers.update(user.headers)
        await have(client, "blue")
        assert [(await point(client, f"now-{at}", "blue")).status_code for at in (0, 1, 1)] == [201, 201, 200]

        assert code(await point(client, "now-2", "blue")) == (409, "vectors.quota_exceeded")


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[tuple[CollectionService, AliasService]]:
    catalogue = SqliteCatalogue(tmp_path / "catalogue.db")
    engine = FaissEngine(tmp_path / "faiss", threads=1, max_bytes=2**20)
    cursors, nobody = CursorCodec("x" * 32), NobodyListens()
    collections = CollectionService(catalogue, {EngineName.FAISS: engine}, cursors, 4, nobody)
    yield collections, AliasService(catalogue, collections, cursors, nobody)
    await engine.aclose()
    await catalogue.aclose()


async def test_who_looked_an_alias_up_before_the_switch_is_served_after_the_old_one_is_gone(
    services: tuple[CollectionService, AliasService],
) -> None:
    collections, aliases = services
    caller, named = a_caller(new_id(), "vectors:write"), Named.to_write("now")
    for name in ("blue", "green"):
        await collections.create(caller, CollectionCreate(name=name, engine=EngineName.FAISS, dimension=4))
    await aliases.point(caller, "now", "blue")
    found_before = await collections.get_ready(caller, named)
    await aliases.point(caller, "now", "green")
    await collections.delete(caller, "blue")

    served, count = await on_engine(collections, caller, named, found_before, lambda engine, at: engine.count(at))

    assert (found_before.name, served.name, count) == ("blue", "green", 0)
