"""Numbers become vectors that no engine can stumble over."""

import numpy as np
import pytest

from services.vectors.domain import Match, Metric, comparable, ranked
from services.vectors.geometry import MAX_LENGTH, float32, placed, score
from shared.errors import Invalid


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, 1e39, -1e300])
def test_what_is_not_finite_in_32_bits_is_refused(number: float) -> None:
    with pytest.raises(Invalid) as refused:
        float32(np.array([1.0, number]), "/items/4/vector")

    assert refused.value.errors[0].pointer == "/items/4/vector"


@pytest.mark.parametrize("numbers", [[3e-39, 4e-39], [3e38, 3e38], [1.0, 1e-30], [1e-45, 0.0]])
def test_cosine_keeps_directions_at_unit_length(numbers: list[float]) -> None:
    vector = placed(float32(np.array(numbers), "/vector"), Metric.COSINE, "/vector")

    assert np.linalg.norm(vector.astype(np.float64)) == pytest.approx(1, abs=1e-6)


def test_a_zero_vector_is_refused_under_cosine_only() -> None:
    zero = np.zeros(3, dtype=np.float32)

    with pytest.raises(Invalid):
        placed(zero, Metric.COSINE, "/vector")
    assert placed(zero, Metric.DOT, "/vector") is zero
    assert placed(zero, Metric.L2, "/vector") is zero


def test_scores_stay_in_their_range_and_rise_with_nearness() -> None:
    assert score(Metric.COSINE, 1.0000001) == 1.0
    assert score(Metric.L2, 0.0) == 0.0
    assert str(score(Metric.L2, 0.0)) == "0.0"
    assert score(Metric.L2, 1.0) > score(Metric.L2, 2.0)
    assert score(Metric.DOT, 1e-9) > score(Metric.DOT, 1e-10) > 0


def test_noise_of_summing_makes_no_order() -> None:
    assert comparable(0.70710677) == comparable(0.70710681)

    noisy = [Match("b", comparable(1.00000001), None, {}), Match("a", comparable(1.0), None, {})]
    assert [match.id for match in ranked(noisy)] == ["a", "b"]


@pytest.mark.parametrize("metric", [Metric.DOT, Metric.L2])
@pytest.mark.parametrize("numbers", [[3.4e38], [1e30, 0], [-1.001e18], [8e17, 8e17]])
def test_what_scores_cannot_hold_is_refused_where_the_length_is_kept(metric: Metric, numbers: list[float]) -> None:
    vector = float32(np.array(numbers), "/items/4/vector")

    with pytest.raises(Invalid) as refused:
        placed(vector, metric, "/items/4/vector")

    assert (refused.value.code, refused.value.errors[0].pointer) == ("vectors.vector_invalid", "/items/4/vector")
    assert np.isfinite(placed(vector, Metric.COSINE, "/vector")).all()


def test_no_sum_of_any_metric_leaves_32_bits() -> None:
    """The squared distance of opposite vectors is the largest of them; every partial sum is smaller."""
    assert float(np.finfo(np.float32).max) / 2 > 4 * MAX_LENGTH**2


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("raw", [None, np.nan, np.inf, -np.inf, 3.4e39])
def test_a_score_is_a_finite_number_whatever_an_engine_says(metric: Metric, raw: float | None) -> None:
    assert np.isfinite(score(metric, raw))
    if raw is None or np.isnan(raw):
        assert score(metric, raw) <= min(score(metric, known) for known in (-1.0, 0.0, 1.0))
