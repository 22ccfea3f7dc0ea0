"""Many searches in one call: each is answered in its place, or the first that cannot be refuses them all."""

import httpx
import pytest

from tests.services.vectors.test_records import ENGINES, POEMS, SEARCH, collection, found, store

BATCH = f"{SEARCH}/batch"


async def poems(client: httpx.AsyncClient, engine: str) -> str:
    name = await collection(client, engine)
    await store(client, name, *({"id": key, "text": text} for key, text in POEMS.items()))
    return name


async def refused(client: httpx.AsyncClient, *searches: dict[str, object]) -> tuple[int, str, str]:
    """Status, code, and what is pointed at."""
    answer = await client.post(BATCH, json={"searches": searches})
    return answer.status_code, answer.json()["code"], answer.json()["errors"][0]["pointer"]


async def test_each_search_is_answered_as_it_is_alone(client: httpx.AsyncClient) -> None:
    names = {engine: await poems(client, engine) for engine in ENGINES}
    searches: list[dict[str, object]] = [
        {"collection": names[engine], "query": query, "k": k}
        for engine in ENGINES
        for k, query in enumerate(("baking", "a storm at sea", "animals that hunt"), 1)
    ]
    searches.append({"collection": names["faiss"], "query": "harbour", "mode": "keyword"})

    answer = await client.post(BATCH, json={"searches": searches})

    assert answer.status_code == 200, answer.text
    for search, result in zip(searches, answer.json()["results"], strict=True):
        assert result["collection"] == search["collection"]
        alone = await found(client, str(search["collection"]), **{k: v for k, v in search.items() if k != "collection"})
        assert [match["id"] for match in result["results"]] == alone
    assert answer.json()["took_ms"] > 0


async def test_a_large_batch_with_vectors(client: httpx.AsyncClient) -> None:
    name = await collection(client, "faiss", dimension=1000)
    vectors = [[1.0 if at == one else 0.000123456789 for at in range(1000)] for one in range(64)]
    await store(client, name, *({"id": f"{at}", "vector": vector} for at, vector in enumerate(vectors)))

    answer = await client.post(
        BATCH, json={"searches": [{"collection": name, "vector": vector, "k": 1} for vector in vectors]}
    )

    assert [result["results"][0]["id"] for result in answer.json()["results"]] == [f"{at}" for at in range(64)]


async def test_one_that_cannot_be_answered_refuses_them_all_and_is_pointed_at(client: httpx.AsyncClient) -> None:
    name, chroma = await poems(client, "faiss"), await poems(client, "chroma")
    good: dict[str, object] = {"collection": name, "query": "bread"}

    assert await refused(client, good, good | {"k": 0}) == (422, "common.invalid", "/searches/1/k")
    assert await refused(client, good, good | {"filter": {"and": []}}) == (
        422, "vectors.filter_invalid", "/searches/1/filter/and",
    )  # fmt: skip
    assert await refused(client, good, {"collection": name, "vector": [1, 2]}) == (
        422, "vectors.dimension_mismatch", "/searches/1/vector",
    )  # fmt: skip
    assert await refused(client, good, good, {"collection": "never-made", "query": "x"}) == (
        404, "vectors.collection_not_found", "/searches/2",
    )  # fmt: skip
    assert await refused(client, {"collection": chroma, "query": "x", "mode": "hybrid"}, good) == (
        422, "vectors.unsupported_capability", "/searches/0/mode",
    )  # fmt: skip


@pytest.mark.parametrize("searches", [[], [{"collection": "c", "query": "x"}] * 65])
async def test_a_batch_has_one_to_sixty_four(client: httpx.AsyncClient, searches: list[object]) -> None:
    answer = await client.post(BATCH, json={"searches": searches})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/searches")


async def test_all_results_together_are_bounded(client: httpx.AsyncClient) -> None:
    searches = [{"collection": "c", "query": "x", "k": 1000}] * 5

    answer = await client.post(BATCH, json={"searches": searches})

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_many_results")


async def test_what_all_find_together_is_bounded_as_what_one_finds(client: httpx.AsyncClient) -> None:
    """Sixty-four answers of thirty megabytes each were one answer of two thousand."""
    name = await collection(client, "faiss", dimension=2)
    metadata = {f"k{at}": ["x" * 4096] * 32 for at in range(3)}
    for start in (0, 25):
        items = [{"id": f"{at}", "vector": [1, at], "metadata": metadata} for at in range(start, start + 25)]
        assert (await store(client, name, *items)).status_code == 200
    search: dict[str, object] = {"collection": name, "vector": [1, 0], "k": 50}

    alone = await client.post(BATCH, json={"searches": [search]})

    assert (alone.status_code, len(alone.json()["results"][0]["results"])) == (200, 50)
    assert await refused(client, search, search) == (422, "vectors.answer_too_large", "/searches")
