"""What the confined program does with documents: it reads them, and says their blocks, some lines at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from services.tasks.confined.frames import Talk
from services.tasks.documents import bounds
from services.tasks.documents.blocks import Block, DocumentType, encoded
from services.tasks.documents.failures import DocumentBroken, DocumentFailure, TooDeep, TooLarge
from services.tasks.documents.readers import read

_SAID_AT_ONCE: Final = 2**18


def run(talk: Talk) -> None:
    """Of the documents that are named, in their order. Raises a DocumentFailure that names the one it is about."""
    left = bounds.CHARS
    for index, (name, stated, path) in enumerate(orjson.loads(talk.take() or b"[]")):
        try:
            left = _say(index, read(Path(path), DocumentType(stated)), talk, left)
        except BrokenPipeError:
            raise
        except Exception as error:
            failure = _failure_of(error)
            raise type(failure)(f"{name}: {failure.detail}") from error


def _say(index: int, blocks: Iterator[Block], talk: Talk, left: int) -> int:
    """How many characters may still come. Raises TooLarge when none are left, and whatever reading raises."""
    held = bytearray()
    for block in blocks:
        left -= len(block.text)
        if left < 0:
            raise TooLarge(f"The document has more text than is read: {bounds.CHARS} characters.")
        held += encoded(index, block)
        if len(held) >= _SAID_AT_ONCE:
            talk.give(bytes(held))
            held.clear()
    if held:
        talk.give(bytes(held))
    return left


def _failure_of(error: Exception) -> DocumentFailure:
    match error:
        case DocumentFailure():
            return error
        case MemoryError():
            return TooLarge()
        case RecursionError():
            return TooDeep()
        case _:
            return DocumentBroken()
