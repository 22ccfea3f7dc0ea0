"""Batches of texts: bounded, taking turns, and not done twice."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from services.vectors.adapters.embeddings import BatchingEmbedder
from services.vectors.adapters.embeddings_backlog import TEXT_BYTES
from services.vectors.adapters.embeddings_local import LocalEmbedder
from services.vectors.domain import Embedded
from services.vectors.errors import EmbeddingsBusy, TooMuchText
from shared.errors import UpstreamTimeout
from shared.identity import Caller
from shared.limits import ShareTaken
from tests.fixtures.patience import PATIENCE_SECONDS


def caller(tenant_id: str) -> Caller:
    return Caller(
        subject="user",
        tenant_id=tenant_id,
        scopes=frozenset(),
        token_id="",
        issued_at=0,
        expires_at=0,
        token="",
    )


ADA, BOB = caller("ada's"), caller("bob's")


class Gated(BatchingEmbedder):
    """A model whose batches are let through one by one."""

    def __init__(self, *, lanes: int = 1, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        super().__init__(
            model="gated",
            dimension=1,
            window_tokens=500,
            lanes=lanes,
            query_lanes=lanes,
            batch_texts=2,
            batch_bytes=10,
            timeout_seconds=timeout_seconds,
            cached=100,
        )
        self.gate = asyncio.Semaphore(0)
        self.begun = asyncio.Semaphore(0)
        self.batches: list[list[str]] = []
        self.answered: list[str] = []

    def tokens_of(self, text: str, *, is_query: bool) -> int:
        return len(text)

    async def embed_batch(self, texts: Sequence[str], *, is_query: bool, is_interactive: bool) -> list[Embedded]:
        self.batches.append(list(texts))
        self.begun.release()
        await self.gate.acquire()
        self.answered += texts
        return [Embedded(np.array([len(text)], dtype=np.float32), len(text)) for text in texts]

    def has_time(self) -> None:
        """From now on, however long this process stands still."""
        self._timeout_seconds = PATIENCE_SECONDS

    def let(self, batches: int) -> None:
        for _ in range(batches):
            self.gate.release()

    async def aclose(self) -> None:
        """Nothing to release."""


async def test_vectors_come_in_the_order_of_the_texts_and_equal_texts_are_embedded_once() -> None:
    embedder = Gated()
    embedder.let(10)

    vectors = await embedder.embed_passages(["a", "bb", "a", "ccc", "d" * 20], ADA)

    assert [vector.tolist() for vector in vectors] == [[1], [2], [1], [3], [20]]
    assert embedder.batches == [["a", "bb"], ["ccc"], ["d" * 20]]


async def test_queries_and_passages_are_kept_apart() -> None:
    embedder = Gated()
    embedder.let(2)

    await embedder.embed_query("a", ADA)
    await embedder.embed_passages(["a"], ADA)

    assert len(embedder.batches) == 2


async def test_a_repeated_request_goes_on_where_the_first_ran_out_of_time() -> None:
    embedder = Gated(timeout_seconds=0.05)
    texts = ["a", "b", "c", "d", "e"]
    embedder.let(2)
    with pytest.raises(UpstreamTimeout):
        await embedder.embed_passages(texts, ADA)
    done = list(embedder.answered)

    embedder.batches.clear()
    embedder.has_time()
    embedder.let(10)
    vectors = await embedder.embed_passages(texts, ADA)

    assert len(vectors) == 5
    assert sorted(text for batch in embedder.batches for text in batch) == sorted(set(texts) - set(done))


async def test_requests_take_turns() -> None:
    """A second request's batch is begun before the first request's last."""
    embedder = Gated()
    long = asyncio.create_task(embedder.embed_passages([f"long{at}" for at in range(6)], ADA))
    short = asyncio.create_task(embedder.embed_passages(["short"], ADA))
    await embedder.begun.acquire()
    embedder.let(1)
    await embedder.begun.acquire()

    assert embedder.batches[1] == ["short"]
    embedder.let(10)
    await asyncio.gather(long, short)


async def test_a_neighbour_waits_for_one_batch_of_a_crowd() -> None:
    embedder = Gated()
    crowd = [asyncio.create_task(embedder.embed_passages([f"text {at}"], ADA)) for at in range(10)]
    await embedder.begun.acquire()
    neighbour = asyncio.create_task(embedder.embed_passages(["neighbour"], BOB))
    await asyncio.sleep(0)
    embedder.let(2)
    for _ in range(2):
        await embedder.begun.acquire()

    assert ["neighbour"] in embedder.batches[:3]
    embedder.let(20)
    await asyncio.gather(*crowd, neighbour)


async def test_one_user_has_no_more_than_a_share_of_the_places() -> None:
    embedder = Gated()
    crowd = [asyncio.create_task(embedder.embed_passages([f"text {at}"], ADA)) for at in range(16)]
    await embedder.begun.acquire()

    with pytest.raises(ShareTaken, match="16 embeddings"):
        await embedder.embed_passages(["one more"], ADA)

    embedder.let(20)
    await asyncio.gather(*crowd)


async def test_a_search_waits_for_no_batch_of_a_thousand_texts() -> None:
    """At most as many batches of the bulk are begun before it as there are lanes."""
    embedder = Gated(lanes=2)
    bulk = asyncio.create_task(embedder.embed_passages([f"{at}" for at in range(1000)], ADA))
    for _ in range(2):
        await embedder.begun.acquire()

    query = asyncio.create_task(embedder.embed_query("query", ADA))
    await embedder.begun.acquire()

    assert [len(batch) for batch in embedder.batches] == [2, 2, 1]
    assert embedder.batches[2] == ["query"]
    embedder.let(1000)
    await asyncio.gather(bulk, query)


async def test_many_queries_of_one_request_are_no_search() -> None:
    embedder = Gated()
    bulk = asyncio.create_task(embedder.embed(["a", "b", "c"], ADA, is_query=True))
    await embedder.begun.acquire()

    await asyncio.sleep(0)
    query = asyncio.create_task(embedder.embed_query("query", ADA))
    await embedder.begun.acquire()

    assert embedder.batches == [["a", "b"], ["query"]]
    embedder.let(10)
    await asyncio.gather(bulk, query)


async def test_a_text_longer_than_the_window_is_embedded_whole() -> None:
    embedder = Gated()
    embedder.let(100)
    words = " ".join(f"word{at}" for at in range(200))

    (found,) = await embedder.embed([words], ADA, is_query=False)

    windows = [window for batch in embedder.batches for window in batch]
    assert "".join(windows) == words
    assert max(map(len, windows)) <= 500
    assert found.tokens == len(words)
    weighted = sum(len(window) ** 2 for window in windows) / len(words)
    assert found.vector.tolist() == [pytest.approx(weighted)]


async def test_windows_of_a_text_that_ran_out_of_time_are_not_embedded_again() -> None:
    embedder = Gated(timeout_seconds=0.05)
    text = " ".join(f"word{at}" for at in range(200))
    embedder.let(2)
    with pytest.raises(UpstreamTimeout):
        await embedder.embed_passages([text], ADA)
    done = set(embedder.answered)

    embedder.batches.clear()
    embedder.has_time()
    embedder.let(100)
    await embedder.embed_passages([text], ADA)

    assert not done & {window for batch in embedder.batches for window in batch}


async def test_what_cannot_be_done_in_time_is_refused_before_anything_is_done() -> None:
    embedder = Gated(timeout_seconds=60)
    embedder.passages.backlog.pace.note(1000, 1.0)  # 48,000 bytes in the 48 seconds that are promised, 16 beside a text
    first = asyncio.create_task(embedder.embed_passages(["x" * 15_984, "y" * 15_984, "z" * 9_984], ADA))
    await embedder.begun.acquire()

    with pytest.raises(EmbeddingsBusy) as refusal:
        await embedder.embed_passages(["a" * 15_984], ADA)
    with pytest.raises(TooMuchText, match="48,000 bytes"):
        await embedder.embed_passages([f"{at}" * 16_000 for at in range(4)], ADA)

    assert int(refusal.value.headers["Retry-After"]) == 10
    assert all("a" not in text for batch in embedder.batches for text in batch)
    first.cancel()


async def test_many_texts_of_a_letter_keep_no_neighbour_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of what a model reads for them is what stands around each text, which therefore counts as well."""
    embedder = Gated(timeout_seconds=60)
    noted: list[int] = []
    monkeypatch.setattr(embedder.passages.backlog.pace, "note", lambda size, _: noted.append(size))
    embedder.let(2)

    await embedder.embed_passages(["a", "b", "cc", "d"], ADA)

    assert noted == [2 + 2 * TEXT_BYTES, 3 + 2 * TEXT_BYTES]


async def test_a_neighbour_is_let_in_beside_a_tenant_that_has_all_the_time() -> None:
    embedder = Gated(timeout_seconds=60)
    embedder.passages.backlog.pace.note(1000, 1.0)
    first = asyncio.create_task(embedder.embed_passages(["x" * 16_000, "y" * 16_000, "z" * 15_000], ADA))
    await embedder.begun.acquire()

    neighbour = asyncio.create_task(embedder.embed_passages(["n" * 400], BOB))
    embedder.let(10**4)

    assert len(await neighbour) == 1
    assert len(await first) == 3


async def test_the_built_in_model_tells_meaning_from_words() -> None:
    embedder = LocalEmbedder(threads=2, timeout_seconds=60, cached=10)
    passages = ["The cat sleeps on the sofa.", "Interest rates were raised by the central bank.", "Die Katze schläft."]
    try:
        vectors = np.stack(await embedder.embed_passages(passages, ADA))
        query = await embedder.embed_query("a sleeping cat", ADA)
    finally:
        await embedder.aclose()

    assert vectors.shape == (3, embedder.dimension)
    cat, money, katze = vectors @ query
    assert min(cat, katze) > money


async def test_the_built_in_model_reads_a_long_text_to_its_end() -> None:
    embedder = LocalEmbedder(threads=2, timeout_seconds=60, cached=0)
    bread = "Knead the dough, let it rise for two hours and bake the bread until it is golden. " * 40
    ship = "The ship left the harbour before the storm reached the coast. " * 20
    try:
        one, both = await embedder.embed([bread, bread + ship], ADA, is_query=False)
        query = await embedder.embed_query("a voyage at sea", ADA)
    finally:
        await embedder.aclose()

    assert one.tokens > embedder.window_tokens
    assert both.tokens > one.tokens
    assert float(np.linalg.norm(both.vector)) == pytest.approx(1, abs=1e-5)
    assert both.vector @ query > one.vector @ query + 0.01
