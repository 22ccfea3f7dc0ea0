"""A context with files, and the program that reads and writes dumps on some."""

import asyncio
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.tasks.dumps.program import opened, scratch
from tests.unit.tasks.fakes import RecordingContext

OPTIONS = {"format": None, "text_field": None, "vector_name": None}
HEADER: dict[str, Any] = {
    "format": "sutazai.vectors",
    "version": 1,
    "collection": {"name": "cats", "engine": "faiss", "dimension": 2, "metric": "cosine", "model": None},
}
Records = list[dict[str, Any]]


@dataclass
class FilesContext(RecordingContext):
    """Hands out `content` as the file of any id."""

    content: bytes = b""

    async def download(self, path: str, to: Path, *, most_bytes: int) -> int:
        return await asyncio.to_thread(to.write_bytes, self.content)


def jsonl(*lines: Any) -> bytes:
    """Each in a line of its own; text as it stands."""
    return b"".join((one if isinstance(one, str) else json.dumps(one)).encode() + b"\n" for one in lines)


def zipped(content: bytes) -> bytes:
    return gzip.compress(content)


async def read(content: bytes, **options: Any) -> tuple[dict[str, Any], Records, list[str]]:
    """What the program says of `content`, its records and their places."""
    async with scratch() as path:
        path.write_bytes(content)
        async with opened("read", path, OPTIONS | options) as program:
            survey = await program.receive_json()
            assert survey is not None
            items, places = Records(), list[str]()
            while batch := await program.receive_json():
                assert batch["first"] == len(items)
                items += batch["items"]
                places += batch["places"]
    return survey, items, places


async def written(page: Records, **options: Any) -> bytes:
    """The dump that the program writes of one page."""
    given = {"collection": HEADER["collection"], "format": "jsonl", "gzip": False, "vectors": "list", **options}
    async with scratch() as path:
        async with opened("write", path, given) as program:
            await program.send(json.dumps({"items": page}).encode())
            assert await program.receive_json()
            await program.end()
            assert await program.receive_json() is None
        return path.read_bytes()
