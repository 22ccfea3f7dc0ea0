"""Where the blocks of documents come from: a text of the task's input, or a file that vectors keeps."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

from services.tasks.documents import process
from services.tasks.documents.blocks import Block, DocumentType, kept, paragraphs
from services.tasks.documents.bounds import FILE_BYTES, SECONDS
from services.tasks.documents.failures import TypeUnknown
from services.tasks.errors import PermanentFailure
from services.tasks.kinds.kind import Context

_BLOCKS_AT_ONCE: Final = 100
_TEXTS_A_PROCESS: Final = 200
_READY: Final = "ready"
_BY_NAME: Final = {
    ".md": DocumentType.MARKDOWN,
    ".markdown": DocumentType.MARKDOWN,
    ".html": DocumentType.HTML,
    ".htm": DocumentType.HTML,
    ".xhtml": DocumentType.HTML,
    ".csv": DocumentType.CSV,
    ".tsv": DocumentType.CSV,
    ".json": DocumentType.JSON,
    ".txt": DocumentType.TEXT,
    ".text": DocumentType.TEXT,
    ".pdf": DocumentType.PDF,
    ".docx": DocumentType.DOCX,
}
_BY_MEDIA: Final = {
    "application/pdf": DocumentType.PDF,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": DocumentType.DOCX,
    "text/html": DocumentType.HTML,
    "application/xhtml+xml": DocumentType.HTML,
    "text/markdown": DocumentType.MARKDOWN,
    "text/csv": DocumentType.CSV,
    "application/json": DocumentType.JSON,
    "text/plain": DocumentType.TEXT,
}


class Source(Protocol):
    """What is told of a document: its text, or the file that has it."""

    @property
    def text(self) -> str | None: ...
    @property
    def file_id(self) -> str | None: ...
    @property
    def type(self) -> DocumentType | None: ...


class Sources:
    """The documents of one task, read in `folder`, which is empty and the task's own."""

    def __init__(self, context: Context, folder: Path) -> None:
        self._context, self._folder = context, folder

    async def blocks(self, documents: Sequence[tuple[str, Source]]) -> AsyncIterator[tuple[int, list[Block]]]:
        """The blocks of each document, some at a time, with its place among `documents`; each comes at least once.

        Raises a PermanentFailure that names the document for one that cannot be read or has no file that is ready,
        and as Context does.
        """
        texts = await self._texts(documents)
        for index, (name, document) in enumerate(documents):
            if document.file_id is None:
                yield index, texts[index]
                continue
            out = await self._file(name, document.file_id, document.type)
            read = (block for _, block in process.blocks_in(out))
            while some := await asyncio.to_thread(list[Block], islice(read, _BLOCKS_AT_ONCE)):
                yield index, some
            await asyncio.to_thread(out.unlink)
            yield index, []

    async def _texts(self, documents: Sequence[tuple[str, Source]]) -> dict[int, list[Block]]:
        """Of all texts of the input, which together are no more than a task may carry."""
        found = {
            index: list(paragraphs(kept(document.text)))
            for index, (_, document) in enumerate(documents)
            if document.text is not None and document.type in {None, DocumentType.TEXT}
        }
        parsed = [
            (index, name, document)
            for index, (name, document) in enumerate(documents)
            if document.text is not None and index not in found
        ]
        for start in range(0, len(parsed), _TEXTS_A_PROCESS):
            some = parsed[start : start + _TEXTS_A_PROCESS]
            found |= {index: [] for index, _, _ in some}
            async with process.turn(self._context.ticket.tenant_id):
                out = await self._parsed(some)
            for at, block in await asyncio.to_thread(list[tuple[int, Block]], process.blocks_in(out)):
                found[some[at][0]].append(block)
            await asyncio.to_thread(out.unlink)
        return found

    async def _parsed(self, some: Sequence[tuple[int, str, Source]]) -> Path:
        jobs = [
            process.Job(name, document.type or DocumentType.TEXT, self._folder / f"text-{index}")
            for index, name, document in some
        ]
        for job, (_, _, document) in zip(jobs, some, strict=True):
            await asyncio.to_thread(job.path.write_text, document.text or "", "utf-8")
        return await self._read(jobs)

    async def _file(self, name: str, file_id: str, stated: DocumentType | None) -> Path:
        about = (await self._context.call("vectors", "GET", f"/api/v1/vectors/files/{quote(file_id, safe='')}")).json()
        if about["status"] != _READY:
            raise PermanentFailure("tasks.file_not_ready", f"{name}: the file is not uploaded whole yet.")
        job = process.Job(name, stated or type_of(name, about), self._folder / "file")
        content = f"/api/v1/vectors/files/{quote(file_id, safe='')}/content"
        async with process.turn(self._context.ticket.tenant_id):
            try:
                await self._context.download(content, job.path, most_bytes=FILE_BYTES)
                return await self._read([job])
            finally:
                with suppress(FileNotFoundError):
                    await asyncio.to_thread(job.path.unlink)

    async def _read(self, jobs: Sequence[process.Job]) -> Path:
        out = self._folder / "blocks"
        seconds = min(SECONDS, self._context.remaining_seconds)
        await process.read(jobs, out, seconds=seconds)
        return out


def type_of(name: str, about: dict[str, Any]) -> DocumentType:
    """By what the file is, and of text, which shows little, by what it is called. Raises PermanentFailure."""
    by_media = _BY_MEDIA.get(str(about.get("media_type")).partition(";")[0].strip().lower())
    if by_media not in {None, DocumentType.TEXT}:
        assert by_media is not None  # noqa: S101 - as was just asked
        return by_media
    by_name = _BY_NAME.get(Path(str(about.get("name"))).suffix.lower()) or by_media
    if by_name is None:
        raise PermanentFailure(TypeUnknown.code, f"{name}: {TypeUnknown.meaning}")
    return by_name
