"""HTML: the text that a reader sees, and not what surrounds it on the page."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from selectolax.lexbor import LexborHTMLParser

from services.tasks.documents.blocks import Block, BlockKind, DocumentType, kept, row
from services.tasks.documents.bounds import DEPTH
from services.tasks.documents.failures import TooDeep
from services.tasks.documents.plain import text_of

# fmt: off
_UNREAD: Final = frozenset({
    "head", "script", "style", "noscript", "template", "nav", "aside", "footer", "form", "button", "select", "svg",
    "math", "canvas", "iframe", "object", "audio", "video", "dialog", "menu",
})
_UNREAD_ROLES: Final = frozenset({"navigation", "banner", "contentinfo", "search", "complementary", "dialog", "menu"})
_HEADING: Final = re.compile(r"h([1-6])")
_INLINE: Final = frozenset({
    "-text", "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img",
    "ins", "kbd", "label", "mark", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub",
    "sup", "time", "tt", "u", "var", "wbr",
})
# fmt: on
_SPACES: Final = re.compile(r"[ \t\n\f\r\u00a0]+")
_BREAK: Final = "\x0b"  # which no text holds that was read, and spaces do not swallow
_LANGUAGE: Final = re.compile(r"(?:language|lang|highlight-source)-([\w+#-]{1,32})")


def read(path: Path) -> Iterator[Block]:
    yield from blocks_of(text_of(path, DocumentType.HTML))


def blocks_of(html: str) -> Iterator[Block]:
    """Raises TooDeep."""
    tree = LexborHTMLParser(html)
    root = tree.css_first("main") or tree.css_first("[role=main]") or tree.body
    if root is not None:
        yield from _Walk().blocks(root, 0)


class _Walk:
    """Gathers the text between two blocks, which is one: of a paragraph, or of an item of a list."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._item = False

    def blocks(self, node: Any, depth: int) -> Iterator[Block]:
        yield from self._inside(node, depth)
        yield from self._end()

    def _inside(self, node: Any, depth: int) -> Iterator[Block]:
        if depth > DEPTH:
            raise TooDeep
        child = node.child
        while child is not None:
            yield from self._one(child, depth)
            child = child.next

    def _one(self, node: Any, depth: int) -> Iterator[Block]:
        tag = node.tag
        if tag == "-text":
            self._said.append(node.text_content or "")
        elif tag == "br":
            self._said.append(_BREAK)
        elif tag.startswith(("-", "!")) or _is_unread(node):
            return
        elif tag in _INLINE:
            yield from self._inside(node, depth + 1)
        else:
            yield from self._end()
            yield from self._block(node, tag, depth)

    def _block(self, node: Any, tag: str, depth: int) -> Iterator[Block]:
        if heading := _HEADING.fullmatch(tag):
            if text := _line(node.text(deep=True)):
                yield Block(BlockKind.HEADING, text, level=int(heading[1]))
        elif tag == "pre":
            if (text := kept(node.text(deep=True)).strip("\n")).strip():
                yield Block(BlockKind.CODE, text, language=_language(node))
        elif tag == "table" and not node.css("table table"):
            yield from _rows(node)
        elif tag in {"li", "dt", "dd"}:
            outer, self._item = self._item, True
            yield from self._inside(node, depth + 1)
            yield from self._end()
            self._item = outer
        else:
            yield from self._inside(node, depth + 1)
            yield from self._end()

    def _end(self) -> Iterator[Block]:
        lines = (_line(line) for line in "".join(self._said).split(_BREAK))
        text = "\n".join(line for line in lines if line)
        self._said = []
        if text:
            yield Block(BlockKind.ITEM, f"- {text}") if self._item else Block(BlockKind.PARAGRAPH, text)


def _is_unread(node: Any) -> bool:
    attributes = node.attributes
    return (
        node.tag in _UNREAD
        or "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") in _UNREAD_ROLES
    )


def _line(text: str) -> str:
    return _SPACES.sub(" ", kept(text)).strip()


def _language(node: Any) -> str:
    code = node.css_first("code")
    said = " ".join(filter(None, [node.attributes.get("class"), code.attributes.get("class") if code else None]))
    found = _LANGUAGE.search(said)
    return found[1] if found else ""


def _rows(table: Any) -> Iterator[Block]:
    """Its caption, and each row under the names in its first, where those are headers or the table has several rows."""
    if (caption := table.css_first("caption")) and (text := _line(caption.text(deep=True))):
        yield Block(BlockKind.PARAGRAPH, text)
    rows = [[_line(cell.text(deep=True)) for cell in one.css("td, th")] for one in table.css("tr")]
    rows = [one for one in rows if any(one)]
    names = rows.pop(0) if len(rows) > 1 else []
    for cells in rows:
        padded = [*names, *[""] * (len(cells) - len(names))]
        if (block := row(list(zip(padded, cells, strict=False)))) is not None:
            yield block
