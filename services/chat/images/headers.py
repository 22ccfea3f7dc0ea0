"""What an image is by its first bytes. No pixel is decoded here, whatever a header promises.

PNG: RFC 2083, 11.2.2; GIF: its specification of 1989, 18; JPEG: ITU T.81, B.2.2; WebP: RFC 9649, 2.5 to 2.7.
"""

import re
import struct
from collections.abc import Callable
from typing import Final

Measured = tuple[str, int, int]
"""The media type, width and height."""
_MARKER: Final = re.compile(rb"\xff+([^\xff\x00])")
_MOST_SEGMENTS: Final = 512  # before the frame of a JPEG; a profile of colours is some dozens
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN: Final = 0xDA
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xDA)})
_14_BITS: Final = 0x3FFF


def measured(data: bytes) -> Measured | None:
    """What the header says; None where it is none of PNG, JPEG, WebP and GIF, or ends before it has said it."""
    for beginning, media_type, read in _FORMATS:
        if data.startswith(beginning):
            try:
                size = read(data)
            except (struct.error, IndexError):
                return None
            return (media_type, *size) if size else None
    return None


def _png(data: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from(">II", data, 16)
    return (width, height) if data[12:16] == b"IHDR" else None


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.match(data, at)
        if not found or (marker := found[1][0]) == _SCAN:
            return None
        at = found.end()
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
        if marker not in _ALONE:
            at += struct.unpack_from(">H", data, at)[0]
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if data[8:12] != b"WEBP":
        return None
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        return (width + 1, height + 1) if len(data) >= 30 else None
    if kind == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & _14_BITS) + 1, (bits >> 14 & _14_BITS) + 1
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & _14_BITS, height & _14_BITS
    return None


_FORMATS: Final[tuple[tuple[bytes, str, Callable[[bytes], tuple[int, int] | None]], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png", _png),
    (b"\xff\xd8\xff", "image/jpeg", _jpeg),
    (b"RIFF", "image/webp", _webp),
    (b"GIF87a", "image/gif", _gif),
    (b"GIF89a", "image/gif", _gif),
)
