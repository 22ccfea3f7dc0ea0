"""Pieces of text joined without delay to the first and without loss to the last."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from services.chat.errors import ModelUnavailable
from services.chat.generation import Completion, Piece, Reasoning
from services.chat.runs.coalescing import Coalesced
from tests.fixtures.patience import PATIENCE_SECONDS

DONE = Completion("stop", None)


async def test_what_is_there_at_once_becomes_one_piece() -> None:
    async def source() -> AsyncGenerator[str | Completion, None]:
        for piece in ("a", "b", "c"):
            yield piece
        yield DONE

    generation = Coalesced(source(), 60)

    assert [piece async for piece in generation.pieces()] == ["abc"]
    assert generation.completion == DONE


async def test_the_first_piece_does_not_wait_for_the_window() -> None:
    more = asyncio.Event()

    async def source() -> AsyncGenerator[str | Completion, None]:
        yield "a"
        await more.wait()
        yield "b"
        yield DONE

    pieces = Coalesced(source(), 60).pieces()
    async with asyncio.timeout(PATIENCE_SECONDS):
        first = await anext(pieces)
        more.set()
        rest = [piece async for piece in pieces]

    assert (first, rest) == ("a", ["b"])


async def test_thought_and_text_are_joined_apart_and_keep_their_order() -> None:
    async def source() -> AsyncGenerator[Piece | Completion, None]:
        for piece in (Reasoning("a"), Reasoning("b"), "c", "d", Reasoning("e")):
            yield piece
        yield DONE

    generation = Coalesced(source(), 60)

    assert [piece async for piece in generation.pieces()] == [Reasoning("ab"), "cd", Reasoning("e")]


async def test_an_error_comes_after_the_text_before_it() -> None:
    async def source() -> AsyncGenerator[str | Completion, None]:
        yield "a"
        raise ModelUnavailable

    pieces = Coalesced(source(), 0).pieces()

    assert await anext(pieces) == "a"
    with pytest.raises(ModelUnavailable):
        await anext(pieces)


async def test_closing_stops_the_generation() -> None:
    stopped = asyncio.Event()

    async def source() -> AsyncGenerator[str | Completion, None]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with aclosing(Coalesced(source(), 0).pieces()) as pieces:
        await anext(pieces)

    assert stopped.is_set()
