"""Turns numbers into vectors that every engine takes alike, before any engine sees them.

Engines differ in what they do with infinities, zeros and very short vectors: some store them and fail at the next read.
They add up scores in 32 bits. Of vectors no longer than L, an inner product and every partial sum of it is at most L²
(Cauchy and Schwarz), and a squared distance at most 4 L², however it is computed. 32 bits hold 3.4e38, so L may be
9.2e18 at most; `MAX_LENGTH` is below that, which leaves room for rounding.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.vectors.domain import Metric, Vector, comparable
from services.vectors.errors import DimensionMismatch, VectorInvalid

MAX_LENGTH = 1e18  # where the length is kept; under cosine it is not, so any is taken
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def require_dimension(name: str, expected: int, given: int, pointer: str) -> None:
    """Raises DimensionMismatch."""
    if given != expected:
        raise DimensionMismatch(pointer, given=given, name=name, expected=expected)


def float32(values: NDArray[np.floating[Any]], pointer: str) -> Vector:
    """`values` in the precision engines keep. Raises VectorInvalid where that is not a finite number."""
    with np.errstate(over="ignore", under="ignore"):
        vector = values.astype(np.float32)
    if not np.isfinite(vector).all():
        raise VectorInvalid.field(pointer, "not_finite", "Every number must be finite in 32-bit floating point.")
    return vector


def placed(vector: Vector, metric: Metric, pointer: str) -> Vector:
    """`vector` as the collection keeps it: at unit length under cosine.

    Raises VectorInvalid for a zero there, and for a vector longer than `MAX_LENGTH` elsewhere.
    """
    # In 64 bits: the squares of small 32-bit numbers vanish, and those of large ones overflow.
    exact = vector.astype(np.float64)
    length = math.sqrt(exact.dot(exact))
    if metric is not Metric.COSINE:
        if length > MAX_LENGTH:
            detail = (
                f"A vector may be {MAX_LENGTH:.0e} long at most under {metric.value}: scores of longer ones overflow."
            )
            raise VectorInvalid.field(pointer, "too_long", detail)
        return vector
    if length == 0.0:
        raise VectorInvalid.field(pointer, "zero_vector", "A vector of zeros has no direction, so no cosine.")
    return (exact / length).astype(np.float32)


def score(metric: Metric, raw: float | None) -> float:
    """The score of an engine's similarity (cosine, dot) or Euclidean distance (l2, not squared); always finite.

    Overflowed numbers, which JSON gives as null, come of records that were stored before there was a bound: they score
    as the largest number there is, and as the farthest record where not even the side is known.
    """
    if raw is None or math.isnan(raw):
        raw = _FLOAT32_MAX if metric is Metric.L2 else -_FLOAT32_MAX
    raw = min(_FLOAT32_MAX, max(-_FLOAT32_MAX, raw))
    if metric is Metric.L2:
        return comparable(-raw)
    if metric is Metric.COSINE:
        raw = min(1.0, max(-1.0, raw))  # rounding takes engines past the ends
    return comparable(raw)
