"""The FAISS index finds the same for a search whoever searches beside it, and what is free is found by nobody."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.vectors.adapters.faiss_index import SlotIndex, most_together
from services.vectors.domain import Metric, Vector

COUNT, DIMENSION = 6_000, 192  # past what is compared one by one


def vectors(count: int, seed: int) -> list[Vector]:
    found: NDArray[np.float32] = np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)
    found[1::2] *= 3.0
    return list(found)


def index(metric: Metric, stored: list[Vector]) -> SlotIndex:
    made = SlotIndex(DIMENSION, metric)
    made.put(made.spare(len(stored)), stored)
    return made


@pytest.mark.parametrize("metric", [Metric.DOT, Metric.L2])
@pytest.mark.parametrize("limit", [1, 18, 300])
def test_it_finds_the_same_alone_and_among_many(metric: Metric, limit: int) -> None:
    searched, asked = index(metric, vectors(COUNT, 1)), vectors(33, 2)

    together = searched.search(asked, limit)

    assert together == [searched.search([one], limit)[0] for one in asked]


@pytest.mark.parametrize("metric", [Metric.DOT, Metric.L2])
def test_it_finds_what_comparing_all_of_them_finds(metric: Metric) -> None:
    stored, asked = vectors(COUNT, 1), vectors(20, 2)
    whole = np.stack(stored).astype(np.float64)

    for one, (slots, values) in zip(asked, index(metric, stored).search(asked, 18), strict=True):
        truth = whole @ one if metric is Metric.DOT else -np.linalg.norm(whole - one, axis=1)
        assert slots == np.argsort(-truth)[:18].tolist()
        np.testing.assert_allclose(np.abs(values), np.abs(truth[slots]), rtol=1e-5)


@pytest.mark.parametrize("metric", [Metric.DOT, Metric.L2])
@pytest.mark.parametrize("beside", [0, 30])
def test_what_was_deleted_is_found_no_more_and_its_slot_again(metric: Metric, beside: int) -> None:
    stored, asked = vectors(COUNT, 1), vectors(1 + beside, 2)
    searched = index(metric, stored)
    first = searched.search(asked, 500)[0][0]

    searched.clear(first[:400])
    second = searched.search(asked, 500)[0][0]
    searched.put(searched.spare(400), [stored[slot] for slot in sorted(first[:400])])

    assert second[:100] == first[400:]
    assert not set(first[:400]) & set(second)
    assert len(searched) == COUNT
    assert len(set(searched.search(asked, 500)[0][0])) == 500


@pytest.mark.parametrize("metric", [Metric.DOT, Metric.L2])
def test_gaps_of_the_file_are_found_by_nobody(metric: Metric) -> None:
    stored, asked = vectors(COUNT, 1), vectors(20, 2)
    loaded = SlotIndex(DIMENSION, metric)
    loaded.load(np.arange(0, 2 * COUNT, 2), stored)

    found = loaded.search(asked, 2 * COUNT)

    assert len(loaded) == COUNT
    assert all(sorted(slots) == list(range(0, 2 * COUNT, 2)) for slots, _ in found)


def test_equal_vectors_score_alike_wherever_they_lie() -> None:
    stored = vectors(COUNT, 1)
    for at in range(0, COUNT, 97):
        stored[at] = stored[0]

    for _, values in index(Metric.DOT, stored).search([stored[0]] * 20, 40):
        assert len(set(values)) == 1


def test_of_large_collections_fewer_are_searched_together() -> None:
    assert [most_together(numbers) for numbers in (0, 20_000 * 384, 2**28, 2**40)] == [64, 64, 8, 1]
