"""Turns numbers into vectors that every engine takes alike, before any engine sees them.

Engines differ in what they do with infinities, zeros and very short vectors: some store them and fail at the next read.
"""

import numpy as np
from numpy.typing import NDArray

from services.vectors.domain import Metric, Vector, comparable
from services.vectors.errors import VectorInvalid


def float32(values: NDArray[np.float64], pointer: str) -> Vector:
    """`values` in the precision engines keep. Raises VectorInvalid where that is not a finite number."""
    with np.errstate(over="ignore", under="ignore"):
        vector = values.astype(np.float32)
    if not np.isfinite(vector).all():
        raise VectorInvalid.field(pointer, "not_finite", "Every number must be finite in 32-bit floating point.")
    return vector


def placed(vector: Vector, metric: Metric, pointer: str) -> Vector:
    """`vector` as the collection keeps it: at unit length under cosine. Raises VectorInvalid for a zero there."""
    if metric is not Metric.COSINE:
        return vector
    # In 64 bits: the squares of small 32-bit numbers vanish.
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if length == 0.0:
        raise VectorInvalid.field(pointer, "zero_vector", "A vector of zeros has no direction, so no cosine.")
    return (vector.astype(np.float64) / length).astype(np.float32)


def score(metric: Metric, raw: float) -> float:
    """The score of an engine's similarity (cosine, dot) or Euclidean distance (l2, not squared)."""
    if metric is Metric.L2:
        return comparable(-raw)
    if metric is Metric.COSINE:
        raw = min(1.0, max(-1.0, raw))  # rounding takes engines past the ends
    return comparable(raw)
