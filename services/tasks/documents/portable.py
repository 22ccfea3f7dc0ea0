"""PDF: the text of its pages, under the titles of its outline."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pypdfium2 as pdfium

from services.tasks.documents.blocks import Block, BlockKind, kept, paragraphs
from services.tasks.documents.bounds import PAGES
from services.tasks.documents.failures import DocumentBroken, DocumentEncrypted, TooManyPages, WithoutText

_PASSWORD, _SECURITY = 4, 5  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY
_TITLES: Final = 10_000
_HYPHEN: Final = re.compile(r"[\ufffe\x02]\n?|(?<=[^\W\d_])-\n(?=[a-zà-öø-ÿ])")  # the first is PDFium's own
# Between two lines of a script without spaces there is none.
_WIDE: Final = re.compile(
    r"(?<=[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef])\n(?=[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef])"
)

Titles = dict[int, list[tuple[int, str]]]


def read(path: Path) -> Iterator[Block]:
    """Raises DocumentEncrypted, DocumentBroken, TooManyPages, WithoutText."""
    document = _opened(path)
    if len(document) > PAGES:
        raise TooManyPages(f"The document has {len(document)} pages; {PAGES} are read.")
    titles, has_text = _titles(document), False
    for number in range(len(document)):
        try:
            text = _text(document, number)
        except pdfium.PdfiumError as error:
            raise DocumentBroken(f"Page {number + 1} cannot be read.") from error
        has_text = has_text or bool(text.strip())
        yield from _page(text, titles.get(number, []), number + 1)
    if not has_text:
        raise WithoutText


def _opened(path: Path) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) in {_PASSWORD, _SECURITY} or "password" in str(error).lower():
            raise DocumentEncrypted from error
        raise DocumentBroken from error


def _text(document: pdfium.PdfDocument, number: int) -> str:
    page = document[number]
    words = page.get_textpage()
    try:
        return _HYPHEN.sub("", words.get_text_bounded().replace("\r\n", "\n").replace("\r", "\n"))
    finally:
        words.close()
        page.close()


def _titles(document: pdfium.PdfDocument) -> Titles:
    """Level and title of what the outline points to, by page; an outline that is broken is none."""
    found: Titles = {}
    try:
        for at, mark in enumerate(document.get_toc()):
            if at >= _TITLES:
                break
            target, title = mark.get_dest(), " ".join(kept(mark.get_title()).split())
            if target is not None and (page := target.get_index()) is not None and title:
                found.setdefault(page, []).append((mark.level + 1, title))
    except (pdfium.PdfiumError, ValueError):
        return {}
    return found


def _page(text: str, titles: list[tuple[int, str]], page: int) -> Iterator[Block]:
    """A title stands where its line is; one that is no line of the page, at the top."""
    lines = text.split("\n")
    places = {" ".join(line.split()): at for at, line in reversed(list(enumerate(lines)))}
    heads = sorted(((places.get(title, -1), level, title) for level, title in titles), key=lambda head: head[0])
    done = 0
    for at, level, title in heads:
        if at >= done:
            yield from _said(lines[done:at], page)
            done = at + 1
        yield Block(BlockKind.HEADING, title, level=level, page=page)
    yield from _said(lines[done:], page)


def _said(lines: list[str], page: int) -> Iterator[Block]:
    for block in paragraphs(kept("\n".join(lines)), page=page):
        text = _WIDE.sub("", block.text).replace("\n", " ")
        yield Block(BlockKind.PARAGRAPH, text, page=page)
