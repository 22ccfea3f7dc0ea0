"""Whatever the service lets in, no engine overflows: every record is found, and every score is a finite number."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.vectors.domain import Collection, Metric, Record, Vector
from services.vectors.geometry import MAX_LENGTH, float32, placed
from services.vectors.ports import VectorEngine
from shared.errors import Invalid
from tests.contracts.vectors.conftest import NewCollection

DIMENSION = 8
MOST = 6  # records
# Of every size, and the ends: where a component alone, a square, or only the sum of squares is too large.
_sizes = st.one_of(st.sampled_from([1e-45, 1e-30, 1e-19, 1.0, 1e18, 1e19, 1e30, 3.4e38]), st.floats(1e-45, 3.4e38))
_numbers = st.builds(lambda sign, size: sign * size, st.sampled_from([-1, 0, 1]), _sizes)
_vectors = st.lists(_numbers, min_size=DIMENSION, max_size=DIMENSION)
_longest = st.lists(st.floats(-1, 1), min_size=DIMENSION, max_size=DIMENSION).filter(
    lambda one: np.linalg.norm(one) > 0
)


def admitted(numbers: list[float], metric: Metric) -> Vector | None:
    """As it goes to an engine; None where it is refused."""
    try:
        return placed(float32(np.array(numbers), "/vector"), metric, "/vector")
    except Invalid:
        return None


def longest(numbers: list[float]) -> list[float]:
    """In that direction the longest vector that is let in."""
    return [float(number) for number in np.array(numbers) / np.linalg.norm(numbers) * (MAX_LENGTH * 0.999999)]


def exact(metric: Metric, one: Vector, other: Vector) -> float:
    a, b = one.astype(np.float64), other.astype(np.float64)
    return -float(np.linalg.norm(a - b)) if metric is Metric.L2 else float(a @ b)


@pytest.fixture
async def collection(new_collection: NewCollection, metric: Metric) -> Collection:
    return await new_collection(DIMENSION, metric)


@pytest.mark.parametrize("metric", Metric)
@given(stored=st.lists(st.one_of(_vectors, _longest.map(longest)), min_size=1, max_size=MOST), asked=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_scores_are_finite_and_right(
    engine: VectorEngine,
    collection: Collection,
    metric: Metric,
    stored: list[list[float]],
    asked: st.DataObject,
) -> None:
    """One collection for all examples, of which each begins with none of the records of the one before."""
    vectors = {f"{at}": vector for at, one in enumerate(stored) if (vector := admitted(one, metric)) is not None}
    query = admitted(asked.draw(st.one_of(_vectors, _longest.map(longest))), metric)
    if not vectors or query is None:
        return
    await engine.delete(collection, [str(at) for at in range(MOST)])
    await engine.upsert(collection, [Record(name, vector) for name, vector in vectors.items()])

    found = {match.id: match.score for match in await engine.search(collection, query, 20, None)}

    assert found.keys() == vectors.keys()
    for name, score in found.items():
        # What cancels out leaves the rounding of the largest terms.
        size = float(np.linalg.norm(query.astype(np.float64)) + np.linalg.norm(vectors[name].astype(np.float64)))
        noise = 1e-5 * size * (1 if metric is Metric.L2 else size) + 1e-5
        assert math.isfinite(score)
        assert score == pytest.approx(exact(metric, query, vectors[name]), rel=1e-3, abs=noise)


@pytest.mark.parametrize("metric", Metric)
async def test_the_longest_vectors_opposite_each_other(
    engine: VectorEngine, new_collection: NewCollection, metric: Metric
) -> None:
    """The largest distance there can be, in the largest number of dimensions."""
    collection = await new_collection(4096, metric)
    end = placed(np.full(4096, MAX_LENGTH / 64 * 0.999999, dtype=np.float32), metric, "/vector")
    await engine.upsert(collection, [Record("here", end), Record("opposite", -end)])

    found = {match.id: match.score for match in await engine.search(collection, end, 10, None)}

    assert {name: score for name, score in found.items() if math.isfinite(score)}.keys() == {"here", "opposite"}
    assert found["here"] > found["opposite"]
