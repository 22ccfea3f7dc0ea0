"""Files and vector stores by OpenAI's own client: what it uploads, it finds, and what is refused, it raises."""

from collections.abc import AsyncIterator

import httpx
import openai
import pytest

from shared.schemas import new_id
from tests.fixtures.identity import User

GUIDE = b"# Refunds\n\nRefunds are paid within 14 days.\n\n# Shipping\n\nParcels to Iceland take nine days by ship.\n"
SCOPES = ["vectors:read", "vectors:write", "tasks:read", "tasks:write"]


async def key_of(gateway: httpx.AsyncClient, owner: User, *scopes: str) -> str:
    body = {"name": "openai stores", "scopes": list(scopes)}
    made = await gateway.post("/api/v1/auth/api-keys", json=body, headers=owner.headers)
    return str(made.raise_for_status().json()["key"])


@pytest.fixture(scope="module")
async def client(gateway: httpx.AsyncClient, base_url: str, owner: User) -> AsyncIterator[openai.AsyncOpenAI]:
    """Whose key may submit tasks too, as attaching a file does."""
    key = await key_of(gateway, owner, *SCOPES)
    async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=60) as opened:
        yield opened


@pytest.fixture
async def file_id(client: openai.AsyncOpenAI) -> str:
    return (await client.files.create(file=("guide.md", GUIDE), purpose="assistants")).id


@pytest.mark.timeout(120)
async def test_knowledge_goes_in_and_is_found(client: openai.AsyncOpenAI) -> None:
    file = await client.files.create(file=("guide.md", GUIDE), purpose="user_data")
    store = await client.vector_stores.create(name="Support FAQ", metadata={"engine": "faiss"})

    attached = await client.vector_stores.files.create_and_poll(
        file.id, vector_store_id=store.id, attributes={"year": 2026}, poll_interval_ms=100
    )
    found = await client.vector_stores.search(
        store.id,
        query="when are refunds paid?",
        filters={"type": "and", "filters": [{"type": "gte", "key": "year", "value": 2025}]},
        max_num_results=1,
    )

    assert (file.object, file.filename, file.bytes, file.purpose) == ("file", "guide.md", len(GUIDE), "user_data")
    assert (attached.status, attached.last_error, attached.attributes) == ("completed", None, {"year": 2026})
    content = [part.text async for part in client.vector_stores.files.content(file.id, vector_store_id=store.id)]
    assert "nine days by ship" in str(content)
    (part,) = found.data
    assert (part.file_id, part.filename) == (file.id, "guide.md")
    assert "Refunds are paid within 14 days." in part.content[0].text
    read = await client.vector_stores.retrieve(store.id)
    assert (read.name, read.status, read.file_counts.completed, read.usage_bytes) == (
        "Support FAQ",
        "completed",
        1,
        len(GUIDE),
    )

    assert (await client.vector_stores.files.delete(file.id, vector_store_id=store.id)).deleted
    assert (await client.vector_stores.search(store.id, query="refunds")).data == []
    assert (await client.vector_stores.delete(store.id)).deleted
    assert (await client.files.delete(file.id)).deleted


async def test_files_are_listed_read_and_paged(client: openai.AsyncOpenAI) -> None:
    ids = [(await client.files.create(file=("a.txt", b"one of many"), purpose="assistants")).id for _ in range(3)]

    listed = [file.id async for file in client.files.list(limit=2, purpose="assistants") if file.id in ids]

    assert listed == ids[::-1]
    assert (await client.files.content(ids[0])).content == b"one of many"
    assert (await client.files.retrieve(ids[0])).status == "processed"


@pytest.mark.timeout(120)
async def test_a_batch_is_followed_to_its_end(client: openai.AsyncOpenAI, file_id: str) -> None:
    store = await client.vector_stores.create(metadata={"engine": "faiss"})

    batch = await client.vector_stores.file_batches.create_and_poll(
        vector_store_id=store.id, file_ids=[file_id], poll_interval_ms=100
    )
    files = [file.id async for file in client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id)]

    assert (batch.status, batch.file_counts.completed) == ("completed", 1)
    assert files == [file_id]
    changed = await client.vector_stores.files.update(file_id, vector_store_id=store.id, attributes={"team": "help"})
    assert changed.attributes == {"team": "help"}
    assert store.id in [one.id async for one in client.vector_stores.list(limit=1)]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [("a.txt", b"", "vectors.file_empty"), ("a.txt", b"\x89PNG\r\n\x1a\n", "vectors.file_unreadable")],
    ids=["empty", "unreadable"],
)
async def test_a_file_that_nobody_reads_is_a_bad_request(
    client: openai.AsyncOpenAI, name: str, content: bytes, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.files.create(file=(name, content), purpose="assistants")

    assert (refused.value.code, refused.value.param) == (code, "file")


async def test_a_purpose_that_is_not_served_is_named(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.files.create(file=("a.jsonl", b"{}"), purpose="fine-tune")

    assert (refused.value.code, refused.value.param) == ("vectors.purpose_unsupported", "purpose")


async def test_a_file_over_the_limit_is_413(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        await client.files.create(file=("a.txt", bytes(100 * 2**20 + 1)), purpose="assistants")

    assert (refused.value.status_code, refused.value.code) == (413, "common.too_large")


async def test_what_is_not_there_is_not_found(client: openai.AsyncOpenAI, file_id: str) -> None:
    for asked in (
        client.files.retrieve(new_id()),
        client.vector_stores.retrieve("vs_none"),
        client.vector_stores.files.create("vs_none", file_id=file_id),
    ):
        with pytest.raises(openai.NotFoundError):
            await asked


async def test_a_store_expires_after_days_without_use(client: openai.AsyncOpenAI) -> None:
    store = await client.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 1})
    longer = await client.vector_stores.update(store.id, expires_after={"anchor": "last_active_at", "days": 7})

    assert store.expires_at is not None
    assert longer.expires_at is not None
    assert longer.last_active_at is not None
    assert longer.expires_at - longer.last_active_at == 7 * 86_400
    with pytest.raises(openai.BadRequestError) as refused:
        await client.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 366})
    assert refused.value.param == "expires_after.days"


async def test_a_key_that_may_not_submit_tasks_attaches_nothing(
    client: openai.AsyncOpenAI, gateway: httpx.AsyncClient, owner: User, file_id: str
) -> None:
    store = await client.vector_stores.create(metadata={"engine": "faiss"})
    lesser = client.with_options(api_key=await key_of(gateway, owner, "vectors:read", "vectors:write"))

    with pytest.raises(openai.PermissionDeniedError):
        await lesser.vector_stores.files.create(store.id, file_id=file_id)
    with pytest.raises(openai.PermissionDeniedError):
        await lesser.vector_stores.create(file_ids=[file_id])

    assert (await client.vector_stores.retrieve(store.id)).file_counts.total == 0
