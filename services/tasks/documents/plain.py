"""Text files: in whatever encoding they are."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.tasks.documents.blocks import Block, DocumentType, kept, paragraphs
from services.tasks.documents.failures import WrongType

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED: Final = re.compile(rb"<meta[^>]{0,200}charset=[\"']?([\w-]{2,40})", re.IGNORECASE)
_LATIN: Final = ("cp1252", "cp1250", "cp1254", "cp1257")
_ACCENTS, _ASCII = 0.2, 0x7F
_TELLING: Final = 1024  # bytes: in fewer the languages of Europe are not told apart
_LOOKED_AT: Final = 2**18  # bytes of which an encoding is guessed
_BINARY: Final = 0.01  # of all characters: more controls than that are in no text


def read(path: Path) -> Iterator[Block]:
    yield from paragraphs(text_of(path, DocumentType.TEXT))


def text_of(path: Path, stated: DocumentType) -> str:
    """All of the file as text. Raises WrongType for what is none."""
    raw = path.read_bytes()
    text = raw.decode(_encoding(raw, is_html=stated is DocumentType.HTML), errors="replace")
    cleaned = kept(text)
    if len(text) - len(cleaned) - text.count("\r\n") > len(text) * _BINARY:
        raise WrongType(f"The document is no text, and so not {stated.value!r}.")
    return cleaned


def _encoding(raw: bytes, *, is_html: bool) -> str:
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return name
    if is_html and (declared := _DECLARED.search(raw[:2048])) and _is_known(name := declared[1].decode()):
        return name
    try:
        raw.decode()
    except UnicodeDecodeError:
        return _guessed(raw[:_LOOKED_AT])
    return "utf-8"


def _is_known(name: str) -> bool:
    try:
        " ".encode(name)
    except (LookupError, UnicodeError):  # the first also for a codec that is not one of text
        return False
    return True


def _guessed(raw: bytes) -> str:
    from charset_normalizer import from_bytes  # one of the parsers, which only the reading process imports

    # Few letters beyond ASCII are accents: a guesser that may, takes each and its neighbour for a Chinese sign.
    is_latin = sum(byte > _ASCII for byte in raw) < len(raw) * _ACCENTS
    if is_latin and len(raw) < _TELLING:
        return _LATIN[0]
    best = from_bytes(raw, cp_isolation=list(_LATIN) if is_latin else None).best()
    return best.encoding if best else _LATIN[0]
