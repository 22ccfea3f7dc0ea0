"""What is written of a search is, byte for byte, what its models are serialized to."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from services.vectors.domain import (
    MAX_ANSWER_BYTES,
    MAX_INTEGER,
    MAX_K,
    Collection,
    EngineName,
    Match,
    Metric,
    comparable,
)
from services.vectors.searching.answers import all_written, answered, written
from services.vectors.searching.domain import AllFound, Found, Hit
from services.vectors.searching.schemas import SearchBatchResult, SearchResult

LONGEST_SECONDS: Final = 0.05
TRIES: Final = 3
COLLECTION = Collection("1", "t", "handbook", EngineName.FAISS, 3, Metric.DOT, datetime(2026, 1, 1, tzinfo=UTC))
TEXTS = st.text('aZ0 "\\/é\u2028😀\x7f\x1f\n\x00', max_size=12)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = TEXTS | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | FLOATS
METADATA = st.dictionaries(TEXTS, SCALARS | st.lists(SCALARS, max_size=3), max_size=4)
SCORES = st.floats(-3.4e38, 3.4e38).map(comparable)
HITS = st.builds(Hit, st.builds(Match, TEXTS, SCORES, st.none() | TEXTS, METADATA), st.none() | SCALARS)
TOOK = st.floats(0, 1e6).map(lambda milliseconds: round(milliseconds, 2))
FOUND = st.builds(Found, st.just(COLLECTION), st.lists(HITS, max_size=3), TOOK)
ALL_FOUND = st.builds(AllFound, st.lists(FOUND, max_size=3), st.just(1.5))


@given(FOUND)
def test_of_one_search(found: Found) -> None:
    assert written(found) == SearchResult.of(found).model_dump_json().encode()


@given(ALL_FOUND)
def test_of_a_batch(found: AllFound) -> None:
    assert all_written(found) == SearchBatchResult.of(found).model_dump_json().encode()


def test_models_are_serialized_so_by_the_framework() -> None:
    """Which may change: then what is compared above is not what other routes answer."""
    app, metadata = FastAPI(), {"tiny": 1e-7, "huge": 1e22, "whole": 2.0, "text": "é\u2028\x7f\x1f"}
    found = Found(COLLECTION, [Hit(Match("a", -0.5, None, metadata))], 0.25)

    @app.get("/", response_model=SearchResult)
    async def answer() -> SearchResult:
        return SearchResult.of(found)

    assert TestClient(app).get("/").content == written(found)


def largest(results: int) -> Found:
    """As much as one answer may hold, of what takes longest to write: many short results, or few long ones."""
    values = (MAX_ANSWER_BYTES // results - 16_384) // 4096
    metadata = {str(at): ['"' * 4096] * 64 for at in range(values // 64)}
    metadata |= {f"{at} more": ['"' * 4096] for at in range(values % 64)}
    hits = [Hit(Match(str(at), 0.5, '"' * 16_384, metadata)) for at in range(results)]
    assert MAX_ANSWER_BYTES * 0.85 < results * (16_384 + values * 4096) <= MAX_ANSWER_BYTES
    return Found(COLLECTION, hits, 1.0)


async def busiest_step(until: "asyncio.Task[Any]") -> float:
    """Seconds of processor time that this loop took at once; a busy machine does not count."""
    longest, last = 0.0, time.thread_time()
    while not until.done():
        await asyncio.sleep(0)
        longest, last = max(longest, time.thread_time() - last), time.thread_time()
    return longest


@pytest.mark.parametrize("results", [MAX_K, 8])
async def test_no_search_holds_up_the_loop(results: int) -> None:
    found, steps = largest(results), []
    for _ in range(TRIES):
        answering = asyncio.create_task(answered(written, found, found.hits))
        steps.append(await busiest_step(answering))
        assert len(answering.result().body) > MAX_ANSWER_BYTES

    assert min(steps) < LONGEST_SECONDS


def test_nor_does_any_result_hold_the_interpreter_for_long() -> None:
    """What is written on a thread lets go of the loop only between results."""
    [first, *_], took = largest(MAX_K).hits, []
    for _ in range(TRIES):
        began = time.thread_time()
        written(Found(COLLECTION, [first], 1.0))
        took.append(time.thread_time() - began)

    assert min(took) < LONGEST_SECONDS / 10
