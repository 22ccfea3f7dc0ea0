"""Copies over the real app and its engines: every record arrives, and what cannot be copied is said why."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser, User
from tests.services.vectors.copying import API, COPIES, Copying, differences, records_of
from tests.services.vectors.test_collections import COLLECTIONS, ENGINES

Answer = tuple[int, str | None]


def code(answer: httpx.Response) -> Answer:
    return answer.status_code, None if answer.is_success else answer.json()["code"]


@pytest.fixture
def copying() -> Copying:
    mark = new_id()[-12:]
    return Copying(f"from-{mark}", f"to-{mark}")


def an_item(at: int) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": f"row {at}",
        "vector": [at + 1, at * 7 % 13, 1],
        "metadata": {"n": at, "t": ["a", "ü"]},
    }
    return item | ({"text": f"text {at}"} if at % 2 else {})


async def have(client: httpx.AsyncClient, name: str, number: int, **fields: Any) -> None:
    made = await client.post(COLLECTIONS, json={"name": name, "dimension": 3, **fields})
    assert made.is_success, made.text
    if number:
        items = [an_item(at) for at in range(number)]
        stored = await client.post(f"{API}/store", json={"collection": name, "items": items})
        assert stored.is_success, stored.text


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("to", ENGINES)
async def test_every_record_arrives_on_any_engine(
    client: httpx.AsyncClient, copying: Copying, engine: str, to: str, metric: str
) -> None:
    await have(client, copying.source, 300, engine=engine, metric=metric)

    begun = await copying.begin(client, engine=to)
    assert (begun.status_code, begun.json()["phase"], begun.json()["total"]) == (200, "scanning", 300)
    ended = await copying.until(client, "ended")

    assert (ended["copied"], ended["count"], ended["recall"]) == (300, 300, 1.0)
    read = (await client.get(f"{COLLECTIONS}/{copying.target}")).json()
    assert (read["engine"], read["metric"], read["status"], read["count"]) == (to, metric, "ready", 300)
    source = await records_of(client, copying.source)
    assert len(source) == 300
    assert differences(source, await records_of(client, copying.target)) == []


async def test_until_it_has_ended_the_target_serves_for_nothing(client: httpx.AsyncClient, copying: Copying) -> None:
    await have(client, copying.source, 3)
    await copying.begin(client)
    await copying.until(client, "following")

    read = (await client.get(f"{COLLECTIONS}/{copying.target}")).json()
    assert (read["status"], read["count"]) == ("filling", None)
    missing = (404, "vectors.collection_not_found")
    for body in ({"vector": [1, 0, 0]}, {"vector": [1, 0, 0], "k": 1}):
        assert code(await client.post(f"{API}/search", json={"collection": copying.target, **body})) == missing
    item = {"id": "mine", "vector": [1, 0, 0]}
    assert code(await client.post(f"{API}/store", json={"collection": copying.target, "items": [item]})) == missing
    assert code(await client.put(f"{API}/aliases/now-{new_id()[-12:]}", json={"collection": copying.target})) == missing
    taken = await client.post(COLLECTIONS, json={"name": copying.target})
    assert code(taken) == (409, "vectors.collection_exists")


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_changes_after_it_was_copied_changes_in_the_target(
    client: httpx.AsyncClient, copying: Copying, engine: str
) -> None:
    await have(client, copying.source, 40, engine=engine)
    await copying.begin(client, engine="faiss" if engine != "faiss" else "qdrant")
    await copying.until(client, "following")
    records = f"{COLLECTIONS}/{copying.source}/records"

    changed = [
        await client.post(
            f"{API}/store",
            json={"collection": copying.source, "items": [an_item(41), an_item(5) | {"vector": [9, 9, 9]}]},
        ),
        await client.patch(f"{records}/row 6", json={"metadata": {"n": None, "new": True}}),
        await client.delete(f"{records}/row 7"),
        await client.post(f"{API}/delete", json={"collection": copying.source, "ids": ["row 8", "row 9"]}),
        await client.post(
            f"{API}/delete", json={"collection": copying.source, "filter": {"field": "n", "op": "gte", "value": 30}}
        ),
        await client.post(f"{API}/store", json={"collection": copying.source, "items": [an_item(35)]}),
    ]
    assert [one.status_code for one in changed] == [200, 200, 204, 200, 200, 200]
    ended = await copying.until(client, "ended")

    source = await records_of(client, copying.source)
    assert (len(source), ended["count"]) == (28, 28)
    assert differences(source, await records_of(client, copying.target)) == []


async def test_the_alias_is_switched_with_the_end(client: httpx.AsyncClient, copying: Copying) -> None:
    alias = f"now-{new_id()[-12:]}"
    await have(client, copying.source, 3)
    await client.put(f"{API}/aliases/{alias}", json={"collection": copying.source})
    before = (await client.get(f"{API}/aliases/{alias}")).headers["ETag"]

    await copying.begin(client, alias=alias, engine="faiss")
    await copying.until(client, "following")
    assert (await client.get(f"{API}/aliases/{alias}")).headers["ETag"] == before
    await copying.until(client, "ended")

    read = await client.get(f"{API}/aliases/{alias}")
    assert read.json()["collection"] == copying.target
    assert read.headers["ETag"] != before
    again = await copying.begin(client, alias=alias, engine="faiss")
    assert (again.json()["phase"], again.json()["count"]) == ("ended", 3), (
        "an attempt that was not told goes no further"
    )
    assert code(await client.delete(f"{COLLECTIONS}/{copying.target}")) == (409, "vectors.collection_aliased")


async def test_an_alias_that_is_switched_by_others_is_left_alone(client: httpx.AsyncClient, copying: Copying) -> None:
    alias, third = f"now-{new_id()[-12:]}", f"third-{new_id()[-12:]}"
    await have(client, copying.source, 3)
    await have(client, third, 0)
    elsewhere = (409, "vectors.copy_alias_elsewhere")
    assert code(await copying.begin(client, alias=alias)) == elsewhere
    await client.put(f"{API}/aliases/{alias}", json={"collection": copying.source})
    assert code(await copying.begin(client, alias=alias)) == (200, None)
    await client.put(f"{API}/aliases/{alias}", json={"collection": third})

    answer = await copying.step(client)
    while answer.is_success:
        assert answer.json()["phase"] != "ended"
        answer = await copying.step(client)

    assert code(answer) == elsewhere
    assert (await client.get(f"{API}/aliases/{alias}")).json()["collection"] == third
    assert (await client.get(f"{COLLECTIONS}/{copying.target}")).json()["status"] == "filling"
    await client.put(f"{API}/aliases/{alias}", json={"collection": copying.source})
    await copying.until(client, "ended")  # it had not lost anything


async def test_texts_are_embedded_anew_where_a_model_is_named(client: httpx.AsyncClient, copying: Copying) -> None:
    model = "multilingual-e5-small"
    await have(client, copying.source, 0, engine="faiss", metric="dot")
    items = [{"id": f"{at}", "text": f"tea {at}", "vector": [at, 1, 2]} for at in range(20)]
    await client.post(f"{API}/store", json={"collection": copying.source, "items": items})
    assert code(await copying.begin(client, metric="cosine")) == (422, "vectors.copy_needs_model")
    assert code(await copying.begin(client, model="another")) == (422, "vectors.unknown_model")

    assert code(await copying.begin(client, model=model, metric="cosine", engine="qdrant")) == (200, None)
    ended = await copying.until(client, "ended")

    read = (await client.get(f"{COLLECTIONS}/{copying.target}")).json()
    assert (ended["count"], read["dimension"], read["metric"], read["model"]) == (20, 384, "cosine", model)
    found = await client.post(f"{API}/search", json={"collection": copying.target, "query": "tea 7", "k": 1})
    assert found.json()["results"][0]["id"] == "7"


async def test_a_record_without_text_cannot_be_embedded(client: httpx.AsyncClient, copying: Copying) -> None:
    await have(client, copying.source, 1)
    await copying.begin(client, model="multilingual-e5-small")

    answer = await copying.step(client)

    assert code(answer) == (409, "vectors.copy_text_missing")
    assert "row 0" in answer.json()["detail"]


async def test_copied_texts_are_of_the_model_of_the_source(client: httpx.AsyncClient, copying: Copying) -> None:
    await client.post(f"{API}/store", json={"collection": copying.source, "items": [{"id": "a", "text": "tea"}]})
    await copying.begin(client, engine="faiss")
    await copying.until(client, "ended")

    assert (await client.get(f"{COLLECTIONS}/{copying.target}")).json()["model"] == "multilingual-e5-small"


async def test_what_is_in_the_way_is_said(client: httpx.AsyncClient, copying: Copying) -> None:
    await have(client, copying.source, 2)
    there = Copying(copying.source, copying.source)
    other = Copying(copying.source, f"{copying.target}-2")
    gone = Copying(f"none-{copying.source}", copying.target)
    assert code(await gone.begin(client)) == (404, "vectors.collection_not_found")
    assert code(await there.begin(client)) == (409, "vectors.collection_exists")
    assert code(await copying.begin(client)) == (200, None)
    assert code(await copying.begin(client)) == (200, None), "a repetition finds it"
    assert code(await other.begin(client)) == (409, "vectors.copy_under_way")
    assert code(await other.step(client)) == (404, "vectors.collection_not_found")

    tag = {"If-Match": f'"{copying.id}"'}
    assert (await client.delete(f"{COLLECTIONS}/{copying.target}", headers=tag)).status_code == 204
    assert code(await copying.step(client)) == (404, "vectors.collection_not_found")
    assert code(await other.begin(client)) == (200, None), "nobody copies it any more"
    assert (await client.delete(f"{COLLECTIONS}/{copying.source}")).status_code == 204
    assert code(await other.step(client)) == (404, "vectors.collection_not_found")
    assert (await client.delete(f"{COLLECTIONS}/{other.target}")).status_code == 204


async def test_searches_that_miss_too_much_keep_the_copy_from_ending(
    client: httpx.AsyncClient, copying: Copying, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.vectors.adapters.faiss import FaissEngine

    search = FaissEngine.search

    async def half(self: FaissEngine, *given: Any, **more: Any) -> Any:
        return [match for match in await search(self, *given, **more) if int(match.id[4:]) % 2]

    await have(client, copying.source, 50, engine="qdrant")
    await copying.begin(client, engine="faiss")
    await copying.until(client, "following")
    monkeypatch.setattr(FaissEngine, "search", half)

    answer = await copying.step(client)

    assert code(answer) == (409, "vectors.copy_recall_low")
    assert (await copying.step(client, recall=0.1)).is_success
    assert (await copying.until(client, "ended"))["recall"] < 0.9


async def test_a_copy_fits_into_the_quota(open_vectors: ServiceClient, tmp_path: Path, user: User) -> None:
    async with open_vectors("vectors", data_dir=tmp_path, quota_records=15, quota_collections=2) as client:
        client.headers.update(user.headers)
        await have(client, "few", 10)
        copying = Copying("few", "more")
        assert code(await copying.begin(client)) == (200, None)
        assert code(await copying.step(client)) == (409, "vectors.quota_exceeded")
        third = Copying("few", "third")
        assert code(await third.begin(client)) == (409, "vectors.quota_exceeded")
        assert (await client.delete(f"{COLLECTIONS}/more")).status_code == 204


async def test_a_neighbour_copies_nothing(
    client: httpx.AsyncClient, copying: Copying, register_user: RegisterUser
) -> None:
    neighbour = (await register_user()).headers
    await have(client, copying.source, 2)
    body = {"id": new_id(), "source": copying.source, "target": "mine"}
    missing = (404, "vectors.collection_not_found")
    assert code(await client.post(COPIES, json=body, headers=neighbour)) == missing
    await copying.begin(client)
    step = {"id": copying.id, "target": copying.target}
    assert code(await client.post(f"{COPIES}/step", json=step, headers=neighbour)) == missing
    await client.post(COLLECTIONS, json={"name": copying.source, "dimension": 3}, headers=neighbour)
    stolen = {"id": copying.id, "source": copying.source, "target": copying.target}
    assert code(await client.post(COPIES, json=stolen, headers=neighbour)) == (409, "vectors.collection_exists")


async def test_who_reads_only_copies_nothing(client: httpx.AsyncClient, copying: Copying) -> None:
    assert (await client.post(COPIES, json={"id": new_id()}, headers={"Authorization": ""})).status_code == 401
