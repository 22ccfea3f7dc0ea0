"""What a task makes on its way to the store."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from services.tasks.documents.spool import Spool
from services.tasks.errors import PermanentFailure


async def test_chunks_take_so_much_of_the_disk(tmp_path: Path) -> None:
    """A file may be read for each of a thousand documents, and each chunk has all of its document's metadata."""
    spool = Spool(tmp_path / "chunks", most_bytes=20)
    await asyncio.to_thread(spool.append, ["12345", "12345"])

    with pytest.raises(PermanentFailure) as refused:
        await asyncio.to_thread(spool.append, ["12345"])

    assert refused.value.code == "tasks.document_too_large"
    assert await asyncio.to_thread(list[Any], spool.batches(9)) == [["12345", "12345"]]
