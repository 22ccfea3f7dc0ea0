"""Records and conditions in the models of Qdrant's client, which come as an argument: they are imported late."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from services.vectors.adapters.qdrant_payload import DENSE, METADATA, TERMS, TEXT, WORDS, content_of, number_path
from services.vectors.domain import MAX_ANSWER_BYTES, Match, Record
from services.vectors.errors import AnswerTooLarge
from services.vectors.terms import AllOf, AnyOf, Condition, HasAnyTerm, HasTerm, NoneOf, NumberPast
from services.vectors.words import Words, words_of


def few(points: Sequence[Any]) -> Sequence[Any]:
    """Those points, when what they keep is no more than one answer may hold. Raises AnswerTooLarge."""
    kept = (value for point in points for value in (point.payload.get(TEXT), point.payload[METADATA]) if value)
    if sum(len(value.encode()) for value in kept) > MAX_ANSWER_BYTES:
        raise AnswerTooLarge(MAX_ANSWER_BYTES)
    return points


def match_of(point: Any, value: float) -> Match:
    """What a search found, and how well it fits."""
    record_id, text, metadata = content_of(point.payload)
    return Match(record_id, value, text, metadata)


def words_in(records: Sequence[Record]) -> list[Words]:
    """Of each its text's."""
    return [words_of(record.text) for record in records]


def vectors_of(models: Any, record: Record, words: Words | None) -> Any:
    """Its own, and that of its words where it has any."""
    if not words:
        return record.vector.tolist()
    sparse = models.SparseVector(indices=words.tokens.tolist(), values=words.weights.tolist())
    return {DENSE: record.vector.tolist(), WORDS: sparse}


def dense_of(vectors: Any) -> Any:
    """Empty where they were not asked for."""
    return vectors[DENSE] if isinstance(vectors, dict) else vectors or ()


def record_of(point: Any) -> Record:
    """The record that a point keeps."""
    record_id, text, metadata = content_of(point.payload)
    return Record(record_id, np.array(dense_of(point.vector), dtype=np.float32), text, metadata)


def filter_of(models: Any, condition: Condition) -> Any:
    """`condition` as Qdrant's own filter."""
    match condition:
        case AllOf(of):
            return models.Filter(must=[filter_of(models, part) for part in of])
        case AnyOf(of):
            return models.Filter(should=[filter_of(models, part) for part in of])
        case NoneOf(of):
            return models.Filter(must_not=[filter_of(models, of)])
        case HasTerm(term):
            return _where(models, TERMS, match=models.MatchValue(value=term))
        case HasAnyTerm(terms):
            return _where(models, TERMS, match=models.MatchAny(any=list(terms)))
        case NumberPast(key, op, bound):
            return _where(models, number_path(key), range=models.Range(**{op.value: bound}))


def _where(models: Any, path: str, **asked: Any) -> Any:
    return models.Filter(must=[models.FieldCondition(key=path, **asked)])
