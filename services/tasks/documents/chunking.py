"""Blocks become chunks: as large as asked for, cut where a reader would pause.

A heading begins a chunk and stays with what follows it; no chunk holds parts of two sections. What fits into a chunk is
not cut, but behind a heading, and prose where more than half a chunk would stay empty otherwise. Code has its fence in
every chunk.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.tasks.documents.blocks import Block, BlockKind

MAX_CHARS: Final = 16_000  # of a chunk, whatever its tokens: `vectors` takes 16,384
_HEADINGS, _HEADING_CHARS = 16, 500  # that metadata keeps
_FULL: Final = 0.5
_FENCE_CHARS: Final = 16
_FENCE: Final = re.compile(r"`{3,}")
_LINES: Final = frozenset({BlockKind.ITEM, BlockKind.ROW})
_PROSE: Final = frozenset({BlockKind.PARAGRAPH, BlockKind.ITEM})


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document, the headings it stands under, and the page where it begins."""

    text: str
    headings: tuple[str, ...]
    page: int | None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a block that is never cut, and what it counts for."""

    text: str
    size: int
    block: "Measured"


@dataclass(eq=False, slots=True)
class Measured:
    """A block in pieces."""

    block: Block
    fence: str = ""
    fence_size: int = 0
    pieces: list[Piece] = field(default_factory=list)
    size: int = 0

    def add(self, text: str, size: int) -> None:
        """One piece more, behind the others."""
        self.size += size if self.pieces else size + self.fence_size
        self.pieces.append(Piece(text, size, self))

    def glue(self, before: "Measured") -> str:
        """What stands between the two: lines of one list or table follow each other at once."""
        return "\n" if self.block.kind is before.block.kind and self.block.kind in _LINES else "\n\n"


def fence_of(block: Block) -> str:
    """Longer than any within, as CommonMark wants it; empty for what is no code."""
    if block.kind is not BlockKind.CODE:
        return ""
    longest = max((len(found[0]) for found in _FENCE.finditer(block.text)), default=2)
    return "`" * min(longest + 1, _FENCE_CHARS)


class Chunker:
    """Takes the blocks of one document in their order; hands out each chunk once it is full."""

    def __init__(self, most: int, overlap: int, *, glue_counts: bool) -> None:
        """A chunk has at most `most`, of which it shares up to `overlap` with the one before in its section.

        `glue_counts` says whether line feeds between blocks count, as characters do and tokens do not.
        """
        self._most, self._overlap, self._glue_counts = most, overlap, glue_counts
        self._path: list[tuple[int, str]] = []
        self._pieces: list[Piece] = []
        self._size = self._chars = 0
        self._is_new = False  # whether there is more than what the chunk before had
        self._has_body = False

    def add(self, measured: Measured) -> Iterator[Chunk]:
        """The chunks that are full now. A piece larger than a chunk becomes one alone: make none."""
        if measured.block.kind is BlockKind.HEADING:
            yield from self._enter(measured.block)
        if measured.pieces and not self._fits(measured.size, measured) and self._should_end(measured):
            yield from self._end_before(measured, measured.size)
        for piece in measured.pieces:
            if not self._fits(piece.size, measured):
                yield from self._end_before(measured, piece.size)
            self._take(piece)
        self._has_body = self._has_body or measured.block.kind is not BlockKind.HEADING

    def end(self) -> Iterator[Chunk]:
        """What is left."""
        yield from self._end(overlapping=False)

    def _end_before(self, measured: Measured, size: int) -> Iterator[Chunk]:
        """End the chunk; the next one begins with what they share, unless that leaves no room for `size`."""
        yield from self._end(overlapping=measured.block.kind in _PROSE)
        if not self._fits(size, measured):
            self._clear()

    def _enter(self, heading: Block) -> Iterator[Chunk]:
        """Open a section. Headings without anything between them go together, from the outer one to the inner."""
        is_inner = not self._path or heading.level > self._path[-1][0]
        if self._has_body or not is_inner:
            yield from self._end(overlapping=False)
        while self._path and self._path[-1][0] >= heading.level:
            self._path.pop()
        self._path.append((heading.level, heading.text[:_HEADING_CHARS]))

    def _should_end(self, measured: Measured) -> bool:
        """Whether the block goes into the next chunk, instead of being cut to fill this one."""
        if not self._has_body:  # a heading alone
            return False
        fits_alone = measured.size <= self._most
        return fits_alone and (measured.block.kind not in _PROSE or self._size >= self._most * _FULL)

    def _fits(self, size: int, measured: Measured) -> bool:
        is_first = not self._pieces
        begins = is_first or self._pieces[-1].block is not measured
        more = size + (measured.fence_size if begins and size < measured.size else 0)
        if begins and not is_first and self._glue_counts:
            more += len(measured.glue(self._pieces[-1].block))
        return self._size + more <= self._most and self._chars + more <= MAX_CHARS

    def _take(self, piece: Piece) -> None:
        begins = not self._pieces or self._pieces[-1].block is not piece.block
        glue = len(piece.block.glue(self._pieces[-1].block)) if begins and self._pieces else 0
        self._size += piece.size + (piece.block.fence_size if begins else 0) + (glue if self._glue_counts else 0)
        self._chars += len(piece.text) + glue
        self._pieces.append(piece)
        self._is_new = True

    def _end(self, *, overlapping: bool) -> Iterator[Chunk]:
        pieces, is_new = self._pieces, self._is_new
        self._clear()
        if is_new and (text := _written(pieces)):
            headings = tuple(title for _, title in self._path[-_HEADINGS:])
            yield Chunk(text, headings, pieces[0].block.block.page)
        if overlapping:
            for piece in _shared(pieces, self._overlap):
                self._take(piece)
            self._is_new = False
            self._has_body = bool(self._pieces)

    def _clear(self) -> None:
        self._pieces, self._size, self._chars = [], 0, 0
        self._is_new = self._has_body = False


def _shared(pieces: Sequence[Piece], most: int) -> list[Piece]:
    """The last pieces of prose, as many as `most` holds."""
    taken: list[Piece] = []
    size = 0
    for piece in reversed(pieces):
        size += piece.size
        if size > most or piece.block.block.kind not in _PROSE:
            break
        taken.append(piece)
    return taken[::-1]


def _written(pieces: Sequence[Piece]) -> str:
    parts: list[str] = []
    at = 0
    while at < len(pieces):
        measured, text = pieces[at].block, ""
        parts.append(measured.glue(pieces[at - 1].block) if at else "")
        while at < len(pieces) and pieces[at].block is measured:
            text += pieces[at].text
            at += 1
        if fence := measured.fence:
            text = f"{fence}{measured.block.language}\n{text.strip(chr(10))}\n{fence}"
        parts.append(text if fence else text.strip())
    return "".join(parts).strip()
