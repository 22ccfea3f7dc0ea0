"""Bodies on their way to the disk."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.tasks.errors import PermanentFailure
from services.tasks.worker.files import written


async def pieces(number: int) -> AsyncIterator[bytes]:
    for at in range(number):
        yield bytes([at % 256]) * 100_000


async def test_pieces_are_written_in_their_order(tmp_path: Path) -> None:
    assert await written(pieces(25), tmp_path / "file", most_bytes=2_500_000) == 2_500_000

    content = await asyncio.to_thread((tmp_path / "file").read_bytes)
    assert content == b"".join([piece async for piece in pieces(25)])


async def test_nothing_at_all_is_an_empty_file(tmp_path: Path) -> None:
    assert await written(pieces(0), tmp_path / "file", most_bytes=1) == 0
    assert await asyncio.to_thread((tmp_path / "file").read_bytes) == b""


async def test_more_than_is_read_ends_the_task(tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure) as refused:
        await written(pieces(25), tmp_path / "file", most_bytes=2_499_999)

    assert refused.value.code == "tasks.file_too_large"


async def test_a_body_that_breaks_off_says_so(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await written(broken(), tmp_path / "file", most_bytes=10)
