"""What a graph finds among the vectors of a FAISS index: nearly what comparing all finds, and nothing that is gone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from unittest import mock

import faiss as _faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from services.vectors.adapters.faiss_graph import Graph
from services.vectors.adapters.faiss_index import SlotIndex
from services.vectors.domain import Metric

faiss: Any = _faiss
COUNT, DIMENSION, SUBJECTS = 6_000, 32, 120
FEW: Final = 100  # up to which all are compared here
RECALL: Final = 0.95
Matrix = NDArray[np.float32]


def vectors(count: int, seed: int, metric: Metric = Metric.COSINE) -> Matrix:
    """Of some subjects, which lie beside each other as texts do."""
    random = np.random.default_rng(seed)
    about = np.random.default_rng(1).normal(size=(SUBJECTS, DIMENSION))[random.integers(SUBJECTS, size=count)]
    found = about + 0.7 * random.normal(size=(count, DIMENSION))
    if metric is Metric.COSINE:
        found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float32)


def index(stored: Matrix, metric: Metric = Metric.COSINE) -> SlotIndex:
    made = SlotIndex(DIMENSION, metric, FEW)
    made.put(made.spare(len(stored)), list(stored))
    return made


def begun(of: SlotIndex) -> tuple[Graph, NDArray[np.int64]]:
    begun = of.begin_graph()
    assert begun is not None
    begun[0].take_over()
    return begun


def graphed(of: SlotIndex) -> SlotIndex:
    """Its graph knows all that there is."""
    graph, slots = begun(of)
    for start in range(0, len(slots), 500):
        graph.add(of.take(graph, slots[start : start + 500]))
    of.growth.finish(graph)
    assert of.growth.serves
    return of


def recall(of: SlotIndex, asked: Matrix, limit: int, among: NDArray[np.int64] | None = None) -> float:
    """And every score is that of comparing all."""
    shares = []
    for vector in asked:
        if among is None:
            [found], [truth] = of.search([vector], limit), of.search([vector], limit, exact=True)
        else:
            found, truth = of.search_among(vector, limit, among), of.search_among(vector, limit, among, exact=True)
        scores = dict(zip(*truth, strict=True))
        assert len(found[0]) == len(set(found[0])) == len(truth[0])
        assert all(scores.get(slot, score) == score for slot, score in zip(*found, strict=True))
        shares.append(len(set(found[0]) & set(truth[0])) / len(truth[0]))
    return float(np.mean(shares))


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.L2])
@pytest.mark.parametrize("limit", [1, 10, 50])
def test_it_finds_nearly_all_and_scores_them_as_comparing_all_does(metric: Metric, limit: int) -> None:
    searched = graphed(index(vectors(COUNT, 2, metric), metric))

    assert recall(searched, vectors(50, 3, metric), limit) >= RECALL


def test_it_finds_the_same_alone_and_among_many() -> None:
    searched, asked = graphed(index(vectors(COUNT, 2))), list(vectors(40, 3))

    assert searched.search(asked, 10) == [searched.search([one], 10)[0] for one in asked]


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.L2])
@pytest.mark.parametrize("percent", [1, 10, 50, 90])
def test_a_filter_that_few_or_many_meet_misses_no_more(metric: Metric, percent: int) -> None:
    searched = graphed(index(vectors(COUNT, 2, metric), metric))
    among = np.flatnonzero(np.arange(COUNT) * 7919 % 100 < percent)

    assert recall(searched, vectors(50, 3, metric), 10, among) >= RECALL


def test_a_filter_that_only_what_is_far_away_meets_misses_no_more() -> None:
    stored = vectors(COUNT, 2)
    searched, asked = graphed(index(stored)), vectors(1, 3)
    far = np.sort(np.argsort(stored @ asked[0])[: COUNT // 2])

    assert recall(searched, asked, 10, far) == 1.0


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.L2])
def test_what_was_written_since_is_found_at_once_and_what_is_gone_no_more(metric: Metric) -> None:
    """Whatever the order of writes, deletions and graphs: against comparing all."""
    random, fresh = np.random.default_rng(4), vectors(4_000, 5, metric)
    searched, used = graphed(index(vectors(1_000, 2, metric), metric)), 0
    live = set(range(1_000))
    for turn in range(60):
        some = random.choice(sorted(live), size=30, replace=False).tolist()
        if turn % 3 == 0:
            searched.clear(some)
            live -= set(some)
        else:
            slots = some if turn % 3 == 1 else searched.spare(40)
            put = fresh[used : used + len(slots)]
            used += len(slots)
            searched.put(slots, list(put))
            live |= set(slots)
            assert [searched.search([one], 1)[0][0][0] for one in put] == slots
        if turn % 20 == 13:
            graphed(searched)
        assert recall(searched, fresh[-20:], 10) >= RECALL
        assert set(searched.search([fresh[0]], len(live))[0][0]) == live
    assert len(searched) == len(live)


def test_where_all_that_is_near_was_deleted_others_are_found() -> None:
    stored, asked = vectors(COUNT, 2), vectors(1, 3)
    searched = graphed(index(stored))

    searched.clear(np.argsort(-(stored @ asked[0]))[:500].tolist())

    assert recall(searched, asked, 10) == 1.0


def test_what_is_written_while_one_is_made_is_found_as_it_is() -> None:
    stored, moved, more = vectors(COUNT, 2), vectors(300, 6), vectors(200, 7)
    searched = index(stored)
    graph, slots = begun(searched)
    for at, start in enumerate(range(0, len(slots), 500)):
        vectors_taken = searched.take(graph, slots[start : start + 500])
        if at == 6:  # some of them are in the graph already, others are not
            searched.put(list(range(300)), list(moved))
            searched.clear(list(range(300, 600)))
            searched.put(searched.spare(200), list(more))
        graph.add(vectors_taken)
    searched.growth.finish(graph)

    assert recall(searched, vectors(30, 3), 10) >= RECALL
    assert [searched.search([one], 1)[0][0][0] for one in moved] == list(range(300))
    assert not set(searched.search([stored[300]], COUNT)[0][0]) & set(searched._free)
    assert all(searched.search([one], 1, exact=True) == searched.search([one], 1) for one in more)


def test_the_next_graph_takes_what_waits_and_serves_nobody_before() -> None:
    stored, more = vectors(COUNT, 2), vectors(600, 6)
    searched = graphed(index(stored))
    searched.put(searched.spare(len(more)), list(more))
    before = searched.search(list(more[:20]), 10)

    graph, slots = begun(searched)
    graph.add(searched.take(graph, slots))

    assert sorted(slots) == list(range(COUNT, COUNT + 600))
    assert searched.search(list(more[:20]), 10) == before
    searched.growth.finish(graph)
    assert recall(searched, more[:50], 10) >= RECALL


def test_one_that_leads_to_little_is_made_anew() -> None:
    searched = graphed(index(vectors(COUNT, 2)))
    searched.put(list(range(COUNT // 2)), list(vectors(COUNT // 2, 6)))

    graphed(searched)

    assert searched.begin_graph() is None  # which would be the same again
    assert searched.growth.nbytes < COUNT * (2 * DIMENSION + 300)
    assert recall(searched, vectors(30, 3), 10) >= RECALL


def test_a_graph_is_wanted_when_comparing_all_has_taken_its_time() -> None:
    searched, asked = index(vectors(COUNT, 2)), list(vectors(60, 3))

    searched.search(asked[:2], 10)
    searched.search(asked, 10, exact=True)
    assert not searched.wants_graph
    searched.search(asked, 10)
    assert searched.wants_graph

    graph, _ = begun(searched)
    searched.growth.give_up(graph)
    searched.search(asked, 10)
    assert not searched.wants_graph  # what failed is not tried at once again


def test_few_are_compared_all() -> None:
    searched = index(vectors(FEW, 2))

    searched.search(list(vectors(60, 3)), 10)

    assert not searched.wants_graph
    assert searched.begin_graph() is None


def test_where_few_are_left_there_is_no_graph() -> None:
    searched = graphed(index(vectors(COUNT, 2)))
    with_graph = searched.nbytes

    searched.clear(list(range(COUNT - FEW // 2)))

    assert not searched.growth.serves
    assert with_graph > 1.5 * searched.nbytes
    assert recall(searched, vectors(5, 3), 10) == 1.0


def test_under_dot_all_are_compared() -> None:
    """A graph of inner products leads to the longest, and misses a fifth of a hundred where lengths differ."""
    searched, asked = index(vectors(COUNT, 2, Metric.DOT), Metric.DOT), vectors(60, 3, Metric.DOT)

    searched.search(list(asked), 10)

    assert not searched.wants_graph
    assert searched.begin_graph() is None
    assert recall(searched, asked, 100) == 1.0


def test_what_is_beyond_all_bounds_stays_out_of_the_graph() -> None:
    """Records of before there was one."""
    stored = vectors(COUNT, 2, Metric.L2)
    stored[::1000] *= 1e30
    searched = graphed(index(stored, Metric.L2))

    assert searched.growth.waits == 6
    assert recall(searched, vectors(20, 3, Metric.L2), 10) >= RECALL


def test_who_searches_does_not_get_lost_among_many_that_are_equal() -> None:
    """Where a graph of all of them answers some searches with nothing but those."""
    stored, asked = vectors(COUNT, 2), vectors(100, 3)
    stored[np.random.default_rng(4).permutation(COUNT)[: COUNT // 3]] = stored[0]
    searched = graphed(index(stored))

    shares = [recall(searched, one[np.newaxis], 10) for one in asked]

    assert min(shares) >= 0.5
    assert np.mean(shares) >= RECALL
    assert set(searched.search([stored[0]], COUNT // 3)[0][1]) == set(searched.search([stored[0]], 1)[0][1])
    searched.search(list(asked) * 2, 10)
    assert not searched.wants_graph  # the next one would leave out the same


@pytest.mark.parametrize(
    "work",
    [
        lambda of: of.search([vectors(1, 3)[0]], 10),
        lambda of: of.search_among(vectors(1, 3)[0], 10, np.arange(50)),
        lambda of: of.trial(begun(of)[0], 5),
    ],
    ids=["all", "some", "a trial"],
)
def test_a_search_keeps_to_its_thread_whichever_that_is(work: Callable[[SlotIndex], object]) -> None:
    searched = index(vectors(COUNT, 2))

    def on_a_thread() -> int:
        faiss.omp_set_num_threads(4)  # as many as a machine of four cores has it begin with
        work(searched)
        return int(faiss.omp_get_max_threads())

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(on_a_thread).result() == 1


def test_what_was_compared_while_one_was_made_asks_for_no_other() -> None:
    searched = index(vectors(COUNT, 2))
    graph, slots = begun(searched)
    searched.search(list(vectors(60, 3)), 10)
    graph.add(searched.take(graph, slots))

    searched.growth.finish(graph)

    assert not searched.wants_graph


def test_what_only_another_question_would_find_asks_for_no_other_graph() -> None:
    """A filter that only what is far away meets: all are compared, and a graph that is made anew changes nothing."""
    stored = vectors(COUNT, 2)
    searched, asked = graphed(index(stored)), vectors(1, 3)
    far = np.sort(np.argsort(stored @ asked[0])[: COUNT // 2])

    for _ in range(200):
        searched.search_among(asked[0], 10, far)

    assert not searched.wants_graph
    assert searched.begin_graph() is None


def test_what_is_left_out_is_left_out_of_the_next_ones_too_until_it_is_written() -> None:
    stored, more, asked = vectors(COUNT, 2), vectors(400, 6), list(vectors(100, 3))
    stored[: COUNT // 4] = stored[0]
    more[:100] = stored[0]
    searched = graphed(index(stored))
    left_out = COUNT // 4 - 8
    assert searched.growth.waits == left_out

    added = searched.spare(len(more))
    searched.put(added, list(more))
    graph, slots = begun(searched)
    assert sorted(slots) == added
    graph.add(searched.take(graph, slots))
    searched.growth.finish(graph)

    assert graph.left_out == searched.growth.waits == left_out + 100
    searched.search(asked * 5, 10)
    assert not searched.wants_graph
    assert searched.begin_graph() is None
    searched.put(list(range(COUNT // 4)), list(vectors(COUNT // 4, 8)))
    assert graph.left_out == 100
    assert sorted(begun(searched)[1]) == list(range(COUNT // 4))
    searched.clear(added[:100])
    assert graph.left_out == 0


def test_one_that_cannot_begin_is_given_up() -> None:
    searched = index(vectors(COUNT, 2))

    with mock.patch.object(np.random, "default_rng", side_effect=MemoryError), pytest.raises(MemoryError):
        searched.begin_graph()

    assert searched.growth.nbytes == 0
    assert searched.begin_graph() is not None


def test_a_trial_whose_truth_the_graph_cannot_know_is_none() -> None:
    searched = index(vectors(COUNT, 2))
    graph, slots = begun(searched)

    assert searched.trial(graph, 5) is None
    graph.add(searched.take(graph, slots))
    assert searched.trial(graph, 5) is not None
