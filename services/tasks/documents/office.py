"""DOCX: through HTML, which `mammoth` makes of its styles."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile

import mammoth

from services.tasks.documents import hypertext
from services.tasks.documents.blocks import Block
from services.tasks.documents.bounds import UNZIPPED_BYTES, ZIP_ENTRIES
from services.tasks.documents.failures import DocumentBroken, TooLarge, WrongType

_MAIN: Final = "[Content_Types].xml"
_READ: Final = re.compile(r"\.(xml|rels)$|^mammoth/", re.IGNORECASE)
# ECMA-376 forbids document types in its parts, and they are what entities are declared in.
_DECLARATIONS: Final = tuple("<!DOCTYPE".encode(name) for name in ("ascii", "utf-16-le", "utf-16-be"))
_STYLES: Final = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"


def read(path: Path) -> Iterator[Block]:
    """Raises TooLarge, DocumentBroken, WrongType."""
    _look_into(path)
    with path.open("rb") as file:
        html = mammoth.convert_to_html(
            file,
            style_map=_STYLES,
            include_embedded_style_map=False,
            convert_image=mammoth.images.img_element(lambda _image: {}),  # which reads none
        ).value
    yield from hypertext.blocks_of(html)


def _look_into(path: Path) -> None:
    """Before anything is parsed: how large it is unpacked, and that nothing declares entities.

    The sizes that a ZIP file states may be believed: `zipfile` reads no more of an entry than is stated.
    """
    try:
        with ZipFile(path) as package:
            entries = package.infolist()
            parts = [entry for entry in entries if _READ.search(entry.filename)]
            if len(entries) > ZIP_ENTRIES or sum(entry.file_size for entry in parts) > UNZIPPED_BYTES:
                raise TooLarge("The document is larger than may be unpacked.")
            if _MAIN not in package.namelist() or not any(one.filename.startswith("word/") for one in entries):
                raise WrongType("The document is a ZIP file, and not 'docx'.")
            if any(mark in package.read(part) for part in parts for mark in _DECLARATIONS):
                raise DocumentBroken("The document declares XML entities, which no DOCX may.")
    except BadZipFile as error:
        raise DocumentBroken from error
