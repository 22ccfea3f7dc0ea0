"""What every reader makes of a document, whatever its type: a sequence of blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from shared.words import Word

# Controls but tab and line feed, halves of characters, and what Unicode has for no character: no store takes them all.
_UNKEPT: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class DocumentType(Word):
    """What can be read."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"
    JSON = "json"
    PDF = "pdf"
    DOCX = "docx"


class BlockKind(Word):
    """What a block is, which says how it may be cut."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    ITEM = "item"
    ROW = "row"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a document.

    A row has its columns' names in its text. `level` is a heading's, from 1; `language` what the fence of code says;
    `page` where it begins, from 1, where the document has pages.
    """

    kind: BlockKind
    text: str
    level: int = 0
    page: int | None = None
    language: str = ""


def kept(text: str) -> str:
    """`text` as every store keeps it."""
    return _UNKEPT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def paragraphs(text: str, *, page: int | None = None) -> Iterator[Block]:
    """What blank lines part."""
    for part in re.split(r"\n[ \t]*(?:\n[ \t]*)+", text):
        if part.strip():
            yield Block(BlockKind.PARAGRAPH, part.strip("\n").rstrip(), page=page)


def row(cells: list[tuple[str, str]]) -> Block | None:
    """A row of a table, each cell under its column's name; None when all cells are empty."""
    filled = [(name.strip(), value.strip()) for name, value in cells if value.strip()]
    text = "; ".join(f"{name}: {value}" if name else value for name, value in filled)
    return Block(BlockKind.ROW, text) if text else None


def encoded(index: int, block: Block) -> bytes:
    """A line that says `block` of document number `index`."""
    return orjson.dumps([index, block.kind, block.text, block.level, block.page, block.language]) + b"\n"


def decoded(line: bytes) -> tuple[int, Block]:
    index, kind, text, level, page, language = orjson.loads(line)
    return index, Block(BlockKind(kind), text, level, page, language)
