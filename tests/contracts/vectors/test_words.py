"""Searching by keywords: what is found, and with which score, is the same on every engine that offers it."""

from collections import Counter

import numpy as np
import pytest

from services.vectors.domain import Collection, Match, Record, SearchMode, ranked
from services.vectors.errors import CollectionMissing
from services.vectors.ports import VectorEngine
from services.vectors.records.filters import parse
from services.vectors.words import rarity, words_of
from shared.texts import asked_of
from tests.contracts.vectors.conftest import COSINE, NewCollection, a_collection
from tests.contracts.vectors.language import leaf

TEXTS = {
    "keys": "Rotate the keys: a key that leaked is revoked, and a new key is made.",
    "ports": "The gateway listens on port 10200; no other port is public.",
    "bread": "Knead the dough, let it rise, and bake the bread.",
    "search": "日本語の検索は、単語の間に空白がなくても動きます。",
    "thai": "ภาษาไทยไม่มีช่องว่างระหว่างคำ",
    "strasse": "Die Straße ist gesperrt; QDRANT_URL bleibt leer.",
}


@pytest.fixture
def engine(engine: VectorEngine) -> VectorEngine:
    """Those that offer keyword search; of the others see below."""
    if SearchMode.KEYWORD not in engine.capabilities().modes:
        pytest.skip("offers no keyword search")
    return engine


def worded(record_id: str, text: str | None, **metadata: object) -> Record:
    return COSINE.record(record_id, 1, 0, 0, 0, text=text, **metadata)


async def found(engine: VectorEngine, collection: Collection, query: str, **filters: object) -> list[Match]:
    condition = parse(filters["where"]) if filters else None
    return ranked(await engine.search_words(collection, asked_of(query), 100, condition))


def expected(texts: dict[str, str], query: str) -> list[tuple[str, float]]:
    """By brute force, as `words.py` defines it."""
    words = {key: words_of(text) for key, text in texts.items()}
    holding = Counter(token for one in words.values() for token in one.tokens.tolist())
    scores = {
        key: sum(
            weight * rarity(len(texts), holding[token])
            for token, weight in zip(one.tokens.tolist(), one.weights.tolist(), strict=True)
            if token in asked_of(query)
        )
        for key, one in words.items()
    }
    return sorted(((key, score) for key, score in scores.items() if score), key=lambda pair: (-pair[1], pair[0]))


@pytest.mark.parametrize("query", ["the key", "PORT", "単語の検索", "空", "ช่องว่าง", "strasse qdrant_url", "absent"])
async def test_scores_are_those_of_brute_force(engine: VectorEngine, new_collection: NewCollection, query: str) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [worded(key, text) for key, text in TEXTS.items()])

    wanted = expected(TEXTS, query)
    matches = await found(engine, collection, query)

    assert [match.id for match in matches] == [key for key, _ in wanted]
    assert [match.score for match in matches] == pytest.approx([score for _, score in wanted], rel=1e-4)
    assert all((match.text, match.metadata) == (TEXTS[match.id], {}) for match in matches)


async def test_what_was_deleted_and_replaced_counts_no_more(
    engine: VectorEngine, new_collection: NewCollection
) -> None:
    """Neither is it found, nor does it make a word less rare."""
    collection = await new_collection()
    await engine.upsert(collection, [worded(f"old {at}", f"key number {at}") for at in range(50)])
    await engine.upsert(collection, [worded(key, f"the key of {key}") for key in TEXTS])
    await engine.upsert(collection, [worded(key, text) for key, text in TEXTS.items()])
    await engine.upsert(collection, [worded("mute", "a key")])
    await engine.upsert(collection, [worded("mute", None)])
    await engine.delete(collection, [f"old {at}" for at in range(50)])

    matches = await found(engine, collection, "key ports port")

    wanted = expected(TEXTS, "key ports port")
    assert [match.id for match in matches] == [key for key, _ in wanted]
    assert [match.score for match in matches] == pytest.approx([score for _, score in wanted], rel=1e-4)


async def test_filters_hold_for_keywords_and_leave_rarity_alone(
    engine: VectorEngine, new_collection: NewCollection
) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [worded(f"{at}", "same words", n=at, odd=bool(at % 2)) for at in range(20)])
    everything = await found(engine, collection, "words")

    few = await found(engine, collection, "words", where={"and": [leaf("n", "gte", 10), leaf("odd", "ne", True)]})

    assert {match.id for match in few} == {"10", "12", "14", "16", "18"}
    assert {match.score for match in few} == {match.score for match in everything}


async def test_equal_texts_tie_and_the_limit_holds(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [worded(f"twin {at}", "one and the same") for at in range(30)])

    matches = await found(engine, collection, "same")

    assert len({match.score for match in matches}) == 1
    assert len(await engine.search_words(collection, asked_of("same"), 7, None)) == 7


async def test_a_thousand_long_texts_at_once(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    letters = np.random.default_rng(4).integers(0x4E00, 0x6E00, size=(1000, 400))
    texts = ["".join(map(chr, row)) for row in letters.tolist()]

    await engine.upsert(collection, [worded(f"{at}", text) for at, text in enumerate(texts)])

    assert (await found(engine, collection, texts[617][100:108]))[0].id == "617"


async def test_a_missing_collection_is_said_to_be_missing(engine: VectorEngine) -> None:
    with pytest.raises(CollectionMissing):
        await engine.search_words(a_collection(engine=engine.name), [1], 10, None)
