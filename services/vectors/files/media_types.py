"""What a file is, by its content. What its sender says is not believed; its name decides among kinds of text only."""

import codecs
import re
from typing import Final

LOOKED_AT_BYTES: Final = 64 * 2**10
"""At either end of a file; the directory of a ZIP with hundreds of entries is shorter."""
ANYTHING: Final = "application/octet-stream"
_ZIP: Final = "application/zip"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_BEGINNINGS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", _ZIP),
    (b"PK\x05\x06", _ZIP),  # one with nothing in it
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"(\xb5/\xfd", "application/zstd"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"{\\rtf", "application/rtf"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\x7fELF", "application/x-executable"),
)
# What a ZIP's directory, at its end, names: an entry has 46 bytes before its name.
_ZIPPED: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = tuple(
    (re.compile(rb"PK\x01\x02.{42}" + re.escape(name), re.DOTALL), media_type)
    for name, media_type in (
        (b"word/document.xml", f"{_OFFICE}wordprocessingml.document"),
        (b"xl/workbook.xml", f"{_OFFICE}spreadsheetml.sheet"),
        (b"ppt/presentation.xml", f"{_OFFICE}presentationml.presentation"),
        (b"META-INF/container.xml", "application/epub+zip"),
    )
)
_PLAIN: Final = "text/plain"
_NAMED: Final[dict[str, str]] = {
    "md": "text/markdown",
    "markdown": "text/markdown",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "html": "text/html",
    "htm": "text/html",
    "xhtml": "text/html",
    "json": "application/json",
    "xml": "application/xml",
    "txt": _PLAIN,
}
# A comment is never looked at twice, else there were twice as many ways to read the beginning with each that it has.
_HTML: Final = re.compile(r"\s*(?:(?><!--.*?-->)\s*)*<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE | re.DOTALL)
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_IN_NO_TEXT: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_LOOKED_AT_CHARS: Final = 2_000


def media_type_of(name: str, head: bytes, tail: bytes) -> str:
    """Of a file that begins with `head` and ends with `tail`, which are the same where it is short."""
    for beginning, media_type in _BEGINNINGS:
        if head.startswith(beginning):
            return _zipped(tail) if media_type == _ZIP else media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return "video/mp4"
    text = _text(head, tail)
    return ANYTHING if text is None else _kind_of_text(name, text)


def _zipped(tail: bytes) -> str:
    return next((media_type for pattern, media_type in _ZIPPED if pattern.search(tail)), _ZIP)


def _text(head: bytes, tail: bytes) -> str | None:
    """Its beginning; None where it is no text in any encoding that is in use."""
    if head.startswith(_UTF_16):
        return _decoded("utf-16", head)
    if _IN_NO_TEXT.search(head) or _IN_NO_TEXT.search(tail):
        return None
    found = _decoded("utf-8-sig", head)
    return head[:_LOOKED_AT_CHARS].decode("latin-1") if found is None else found


def _decoded(encoding: str, head: bytes) -> str | None:
    try:  # a character may be cut in two at its end
        return codecs.getincrementaldecoder(encoding)().decode(head)[:_LOOKED_AT_CHARS]
    except UnicodeDecodeError:
        return None


def _kind_of_text(name: str, text: str) -> str:
    if _HTML.match(text):
        return "text/html"
    if named := _NAMED.get(name.rpartition(".")[2].lower() if "." in name else ""):
        return named
    return "application/json" if text.lstrip()[:1] in ("{", "[") and _looks_like_json(text) else _PLAIN


def _looks_like_json(text: str) -> bool:
    """`[note]` and `{% macro %}` begin like it, too."""
    return bool(re.match(r'\s*(\{\s*("|\})|\[\s*([\[{"\d\]-]|true|false|null))', text))
