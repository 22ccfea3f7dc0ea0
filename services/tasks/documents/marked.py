"""Markdown, as CommonMark has it, with tables."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from services.tasks.documents import hypertext
from services.tasks.documents.blocks import Block, BlockKind, DocumentType, paragraphs, row
from services.tasks.documents.plain import text_of

_FRONT: Final = re.compile(r"\A---\n(.*?)\n(?:---|\.\.\.)(?:\n|\Z)", re.DOTALL)
_LANGUAGE_CHARS: Final = 32
_TAG: Final = re.compile(r"<[^<>]*>")


def read(path: Path) -> Iterator[Block]:
    text = text_of(path, DocumentType.MARKDOWN)
    if front := _FRONT.match(text):  # which a Markdown parser takes for a heading
        yield from paragraphs(front[1])
        text = text[front.end() :]
    yield from _blocks(MarkdownIt("commonmark", {"maxNesting": 100}).enable("table").parse(text))


def _blocks(tokens: Sequence[Token]) -> Iterator[Block]:
    within: list[str] = []
    table = _Table()
    for token in tokens:
        if token.type in {"fence", "code_block"}:
            yield Block(
                BlockKind.CODE, token.content.rstrip("\n"), language=token.info.strip().split(" ")[0][:_LANGUAGE_CHARS]
            )
        elif token.type == "html_block":
            yield from hypertext.blocks_of(token.content)
        elif token.type == "tr_close":
            if (one := table.end_row()) is not None:
                yield one
        elif token.type == "table_close":
            table = _Table()
        elif token.type == "inline":
            text = _plain(token.children or [])
            if within and within[-1] in {"th", "td"}:
                table.cell(text, is_name=within[-1] == "th")
            elif text.strip():
                yield _said(text.strip(), within)
        within = _entered(within, token)


def _entered(within: list[str], token: Token) -> list[str]:
    if token.nesting == 0:
        return within
    return [*within, token.tag] if token.nesting > 0 else within[:-1]


def _said(text: str, within: Sequence[str]) -> Block:
    tag = within[-1] if within else "p"
    if re.fullmatch(r"h[1-6]", tag):
        return Block(BlockKind.HEADING, " ".join(text.split()), level=int(tag[1]))
    if "li" in within:
        return Block(BlockKind.ITEM, f"- {text}")
    return Block(BlockKind.PARAGRAPH, text)


def _plain(children: Sequence[Token]) -> str:
    """What a reader sees of a line: no marks, no addresses, the names of pictures."""
    parts: list[str] = []
    for child in children:
        if child.type in {"softbreak", "hardbreak"}:
            parts.append("\n")
        elif child.type == "html_inline":
            parts.append(_TAG.sub("", child.content))
        else:
            parts.append(child.content)
    return "".join(parts)


class _Table:
    """The names of the columns, and the row under way."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._cells: list[str] = []

    def cell(self, text: str, *, is_name: bool) -> None:
        (self._names if is_name else self._cells).append(text)

    def end_row(self) -> Block | None:
        cells, self._cells = self._cells, []
        names = [*self._names, *[""] * (len(cells) - len(self._names))]
        return row(list(zip(names, cells, strict=False)))
