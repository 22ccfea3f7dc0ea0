"""Whoever else runs in the process goes on beside the largest body that is taken."""

import asyncio
import json
import os
import random
import time
from typing import Final

import pytest
from starlette.types import Message

from services.vectors.records.bulk import BulkRequest
from services.vectors.records.endpoints import store
from services.vectors.records.schemas import StoreRequest
from shared.door.bounds import bounds_of

LONGEST_SECONDS: Final = 0.05
TRIES: Final = 5


def body_of(records: int, dimension: int) -> bytes:
    vector = [round(random.uniform(-1, 1), 9) for _ in range(dimension)]
    return json.dumps({"collection": "c", "items": [{"vector": vector} for _ in range(records)]}).encode()


def asked(body: bytes) -> BulkRequest:
    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    scope = {"type": "http", "headers": [(b"content-type", b"application/json")]}
    return BulkRequest(scope, receive, bounds_of(store), is_form=False)


async def longest_gap(until: "asyncio.Task[None]") -> float:
    """Seconds for which this loop stood still."""
    longest, last = 0.0, time.perf_counter()
    while not until.done():
        await asyncio.sleep(0.001)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    return longest


async def test_a_large_body_becomes_its_model() -> None:
    found = await asked(body_of(500, 64)).json()

    assert isinstance(found, StoreRequest)
    assert [len(item.vector) for item in found.items if item.vector is not None] == [64] * 500


@pytest.mark.skipif("ATTACKS" not in os.environ, reason="with ATTACKS=1, as a clock decides")
async def test_a_loop_stands_still_for_no_body() -> None:
    body, gaps = body_of(1000, 2500), []
    assert len(body) > 30 * 10**6
    for _ in range(TRIES):
        reading = asyncio.create_task(asked(body).read())
        gaps.append(await longest_gap(reading))
        reading.result()

    assert min(gaps) < LONGEST_SECONDS  # a machine that does other work as well holds anybody up now and then
