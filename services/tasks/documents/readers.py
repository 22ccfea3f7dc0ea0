"""Which reader reads what, and whether the first bytes of a document are of the type that it is said to be."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from services.tasks.documents.blocks import Block, DocumentType
from services.tasks.documents.failures import DocumentEncrypted, WrongType

Reader = Callable[[Path], Iterator[Block]]

_MODULES: Final = {
    DocumentType.TEXT: "plain",
    DocumentType.MARKDOWN: "marked",
    DocumentType.HTML: "hypertext",
    DocumentType.CSV: "tables",
    DocumentType.JSON: "values",
    DocumentType.PDF: "portable",
    DocumentType.DOCX: "office",
}
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Word before 2007, and whatever Office encrypts
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_PICTURES: Final = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*", b"RIFF", b"BM")
_PDF, _PDF_WITHIN = b"%PDF-", 1024  # bytes, as readers of PDF look for it
_LOOKED_AT: Final = 4096
_TEXTS: Final = frozenset(DocumentType) - {DocumentType.PDF, DocumentType.DOCX}


def read(path: Path, stated: DocumentType) -> Iterator[Block]:
    """The blocks of a document. Raises a DocumentFailure, and whatever a parser raises for what it cannot read."""
    _require_type(path, stated)
    module = importlib.import_module(f"services.tasks.documents.{_MODULES[stated]}")  # one type needs one parser
    reader: Reader = module.read
    yield from reader(path)


def _require_type(path: Path, stated: DocumentType) -> None:
    """Raises WrongType, DocumentEncrypted."""
    with path.open("rb") as file:
        head = file.read(_LOOKED_AT)
    if stated is DocumentType.DOCX and head.startswith(_OLE) and _ENCRYPTED in path.read_bytes():
        raise DocumentEncrypted
    found = _type_of(head)
    if found != (None if stated in _TEXTS else stated.value):
        raise WrongType(f"The document is {found or 'something else'}, and not {stated.value!r}.")


def _type_of(head: bytes) -> str | None:
    """What the first bytes say; None where they say nothing, as in text."""
    if _PDF in head[:_PDF_WITHIN]:
        return DocumentType.PDF.value
    if head.startswith(_ZIP):
        return DocumentType.DOCX.value  # or another package, which its reader sees
    if head.startswith(_OLE):
        return "a document of an older Office"
    if head.startswith(_PICTURES):
        return "a picture"
    return None
