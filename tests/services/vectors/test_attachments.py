"""Files of vector stores, over the real tasks, worker and vectors: attached, ingested, found, changed and detached."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from local.suite import Suite
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.inside import client_of
from tests.fixtures.letters import Letters
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.auth.tenancy import joining
from tests.services.vectors.storing import FILES, GUIDE, Stores, refusal

KEPT = "/api/v1/vectors/files"
LONG = "\n\n".join(f"Guest number {n} of the inn came by the {n}th coach of the year." for n in range(4000)).encode()


@pytest.fixture(scope="module")
async def vectors(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    """The real service, which the real worker fills."""
    suite.up(["vectors", "tasks", "tasks-worker"])
    async with client_of(suite, "vectors", timeout=60) as client:
        yield client


@pytest.fixture
def stores(vectors: httpx.AsyncClient, user: User) -> Stores:
    return Stores(vectors, user)


@pytest.mark.parametrize("engine", ["faiss", "qdrant", "chroma"])
async def test_what_is_attached_is_found_and_what_is_detached_is_gone(stores: Stores, engine: str) -> None:
    store = await stores.made(engine)
    file_id = await stores.upload()

    attached = await stores.attach(store, file_id, attributes={"year": 2026, "team": "support", "draft": False})
    ended = await stores.ended(store, file_id)
    found = await stores.search(store, "when are refunds paid?", max_num_results=1)

    assert (attached["id"], attached["status"], attached["usage_bytes"]) == (file_id, "in_progress", 0)
    assert (ended["status"], ended["usage_bytes"], ended["last_error"]) == ("completed", len(GUIDE), None)
    assert ended["chunking_strategy"]["static"] == {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 30}
    assert [(one["file_id"], one["filename"]) for one in found] == [(file_id, "guide.md")]
    assert "Refunds are paid within 14 days." in found[0]["content"][0]["text"]
    assert found[0]["attributes"] == ended["attributes"] == {"year": 2026, "team": "support", "draft": False}
    read = await stores.done("GET", f"/{store}")
    assert (read["file_counts"]["completed"], read["usage_bytes"], read["status"]) == (1, len(GUIDE), "completed")

    content = await stores.done("GET", f"/{store}/files/{file_id}/content")
    assert [part["type"] for part in content["data"]] == ["text", "text"]
    assert "14 days" in content["data"][0]["text"]
    assert "Iceland" in content["data"][1]["text"]

    gone = await stores.done("DELETE", f"/{store}/files/{file_id}")

    assert gone == {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}
    assert await stores.search(store, "refunds") == []
    assert refusal(await stores.call("GET", f"/{store}/files/{file_id}"))[:2] == (404, "vectors.attachment_not_found")
    assert refusal(await stores.call("DELETE", f"/{store}/files/{file_id}"))[0] == 404


async def test_a_form_that_is_refused_is_answered_at_once(stores: Stores) -> None:
    """All of it has come by then, and nobody waits for more."""
    forms: list[tuple[str, dict[str, tuple[str | None, bytes | str]]]]
    forms = [(FILES, {"file": ("a.txt", b"a"), "other": (None, "b")}), (KEPT, {"other": (None, "b")})]
    for path, form in forms:
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await stores.client.post(path, files=form, headers=stores.user.headers)
        assert answer.status_code in (400, 422), answer.text


async def test_a_deleted_file_is_in_no_store_any_more(stores: Stores) -> None:
    one, other = await stores.made(), await stores.made()
    file_id = await stores.ingested(one)
    await stores.attach(other, file_id)

    deleted = await stores.client.delete(f"{FILES}/{file_id}", headers=stores.user.headers)

    assert deleted.status_code == 200, deleted.text
    for store in (one, other):
        assert (await stores.done("GET", f"/{store}"))["file_counts"]["total"] == 0
        assert await stores.records(store) == 0


async def test_a_store_may_be_made_with_its_files(stores: Stores) -> None:
    ids = [await stores.upload(), await stores.upload(b"Tea is served at five.", "tea.txt")]

    store = await stores.made(file_ids=ids, chunking_strategy={"type": "auto"})
    for file_id in ids:
        await stores.ended(store, file_id)

    listed = await stores.done("GET", f"/{store}/files", params={"filter": "completed"})
    assert {one["id"] for one in listed["data"]} == set(ids)
    assert (await stores.search(store, "when is tea?", max_num_results=1))[0]["filename"] == "tea.txt"


async def test_a_file_is_cut_as_it_was_asked(stores: Stores) -> None:
    store = await stores.made()
    sizes = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}

    content = LONG[:4_000]
    await stores.ingested(store, content, "inn.txt", chunking_strategy={"type": "static", "static": sizes})
    small = await stores.records(store)
    other = await stores.made()
    file_id = await stores.ingested(other, content, "inn.txt")

    assert small > await stores.records(other) > 1
    too_large = {"type": "static", "static": {"max_chunk_size_tokens": 4096, "chunk_overlap_tokens": 0}}
    refused = await stores.call("POST", f"/{other}/files", json={"file_id": file_id, "chunking_strategy": too_large})
    assert refusal(refused) == (400, "vectors.chunks_too_large", "chunking_strategy.static.max_chunk_size_tokens")


async def test_a_file_that_cannot_be_read_says_why(stores: Stores) -> None:
    store, file_id = await stores.made(), await stores.upload(b"%PDF-1.7\nthis is none", "broken.pdf")

    await stores.attach(store, file_id)
    ended = await stores.ended(store, file_id)

    assert (ended["status"], ended["last_error"]["code"]) == ("failed", "invalid_file")
    assert "tasks.document_broken" in ended["last_error"]["message"]
    read = await stores.done("GET", f"/{store}")
    assert (read["file_counts"]["failed"], read["file_counts"]["total"], read["usage_bytes"]) == (1, 1, 0)


async def test_attributes_change_on_what_is_found(stores: Stores) -> None:
    store = await stores.made()
    file_id = await stores.ingested(store, attributes={"year": 2025, "old": "yes"})

    changed = await stores.done("POST", f"/{store}/files/{file_id}", json={"attributes": {"year": 2026}})

    newer = {"type": "and", "filters": [{"type": "gt", "key": "year", "value": 2025}]}
    found = await stores.search(store, "refunds", filters=newer)
    assert changed["attributes"] == {"year": 2026}
    assert {str(one["attributes"]) for one in found} == {"{'year': 2026}"}
    assert await stores.search(store, "refunds", filters={"type": "eq", "key": "old", "value": "yes"}) == []
    await stores.attach(store, file_id, attributes={"year": 2025, "old": "yes"})
    await stores.ended(store, file_id)
    back = await stores.search(store, "refunds")
    assert {str(one["attributes"]["year"]) for one in back} == {"2025"}, "ingested anew, as it was told then"


@pytest.mark.parametrize(
    ("attributes", "param"),
    [
        ({"chunk": 1}, "attributes"),
        ({"a": None}, "attributes.a"),
        ({"a": "x" * 513}, "attributes.a"),
        ({"a": ["b"]}, "attributes.a"),
        ({f"a{n}": n for n in range(17)}, "attributes"),
    ],
)
async def test_attributes_that_are_none_are_refused_by_name(stores: Stores, attributes: Any, param: str) -> None:
    store = await stores.made()

    answer = await stores.call("POST", f"/{store}/files", json={"file_id": new_id(), "attributes": attributes})

    assert refusal(answer) == (400, "common.invalid", param)


async def test_a_file_that_is_not_there_is_attached_to_nothing(stores: Stores, register_user: RegisterUser) -> None:
    other = stores.by(await register_user())
    theirs, store = await other.upload(), await stores.made()

    for file_id in (new_id(), theirs):
        answer = await stores.call("POST", f"/{store}/files", json={"file_id": file_id})
        assert refusal(answer)[:2] == (404, "vectors.file_not_found")
    before = await stores.done("GET")
    assert refusal(await stores.call("POST", json={"file_ids": [theirs]}))[:2] == (404, "vectors.file_not_found")
    assert await stores.done("GET") == before, "nothing was made"


async def test_two_at_once_attach_a_file_once(stores: Stores) -> None:
    store, file_id = await stores.made(), await stores.upload()

    await asyncio.gather(*(stores.attach(store, file_id) for _ in range(4)))
    await stores.ended(store, file_id)

    listed = await stores.done("GET", f"/{store}/files")
    assert [one["id"] for one in listed["data"]] == [file_id]
    assert await stores.records(store) == len(await stores.search(store, "what is there?"))


@pytest.mark.timeout(120)
async def test_an_ingestion_under_way_is_stopped_before_its_file_goes(stores: Stores) -> None:
    store, file_id = await stores.made(), await stores.upload(LONG, "inn.txt")
    await stores.attach(store, file_id)

    other = await stores.call("POST", f"/{store}/files", json={"file_id": file_id, "attributes": {"year": 1}})
    changed = await stores.call("POST", f"/{store}/files/{file_id}", json={"attributes": {"year": 1}})
    await stores.done("DELETE", f"/{store}/files/{file_id}")

    assert refusal(other)[:2] == refusal(changed)[:2] == (409, "vectors.attachment_under_way")
    assert await stores.records(store) == 0
    again, file_id = await stores.made(), await stores.upload(LONG, "inn.txt")
    await stores.attach(again, file_id)
    await stores.done("DELETE", f"/{again}")
    assert refusal(await stores.call("GET", f"/{again}"))[:2] == (404, "vectors.collection_not_found")


@pytest.mark.timeout(120)
async def test_a_batch_is_attached_followed_and_cancelled(stores: Stores) -> None:
    store = await stores.made()
    ids = [await stores.upload(b"Tea is served at five.", "tea.txt"), await stores.upload()]

    batch = await stores.done("POST", f"/{store}/file_batches", json={"file_ids": ids, "attributes": {"year": 2026}})
    ended = await stores.ended(store, batch["id"], "file_batches")
    listed = await stores.done("GET", f"/{store}/file_batches/{batch['id']}/files", params={"limit": 1})

    assert (batch["object"], batch["vector_store_id"], batch["file_counts"]["total"]) == (
        "vector_store.files_batch",
        store,
        2,
    )
    assert (ended["status"], ended["file_counts"]["completed"]) == ("completed", 2)
    assert ({one["id"] for one in listed["data"]} < set(ids), listed["has_more"]) == (True, True)
    long = [await stores.upload(LONG, "inn.txt")]
    slow = await stores.done("POST", f"/{store}/file_batches", json={"files": [{"file_id": long[0]}]})
    await stores.done("POST", f"/{store}/file_batches/{slow['id']}/cancel")
    assert (await stores.ended(store, slow["id"], "file_batches"))["status"] == "cancelled"
    assert refusal(await stores.call("GET", f"/{store}/file_batches/{new_id()}"))[:2] == (
        404,
        "vectors.batch_not_found",
    )


@pytest.mark.parametrize(
    "body",
    [{}, {"file_ids": []}, {"file_ids": ["{id}", "{id}"]}, {"file_ids": ["{id}"], "files": [{"file_id": "{id}"}]}],
    ids=["none", "empty", "twice", "both"],
)
async def test_a_batch_that_is_none_is_refused(stores: Stores, body: Any) -> None:
    store, one = await stores.made(), new_id()
    filled = {name: [one if value == "{id}" else {"file_id": one} for value in values] for name, values in body.items()}

    assert (await stores.call("POST", f"/{store}/file_batches", json=filled)).status_code == 400


async def test_a_colleague_sees_how_far_a_file_is_and_stops_nobody_elses_work(
    stores: Stores, user: User, suite: Suite, auth: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    """The task is its maker's, and the store its tenant's."""
    join = joining(auth, Letters(suite.site.layout.home / "mail"), register_user)
    colleague = stores.by(await join(user, "member"))
    store, file_id = await stores.made(), await stores.upload(LONG, "inn.txt")
    await stores.attach(store, file_id)

    stopped = await colleague.call("DELETE", f"/{store}/files/{file_id}")
    seen = await colleague.done("GET", f"/{store}/files/{file_id}")
    await stores.done("DELETE", f"/{store}/files/{file_id}")

    assert refusal(stopped)[:2] == (409, "vectors.attachment_under_way")
    assert seen["status"] == "in_progress"
    done = await colleague.ingested(store)
    assert (await stores.done("GET", f"/{store}/files/{done}"))["status"] == "completed"
