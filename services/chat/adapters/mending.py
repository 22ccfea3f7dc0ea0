"""Mends characters that a provider cut in two, half in one chunk and half in the next.

Tokens are bytes, so the end of a token need not be the end of a character. A server that does not wait for the rest
sends bytes that are no UTF-8, or one `\\ud83d` of a pair alone: neither is JSON to a strict reader.
"""

import json
from typing import Any

_HIGH = range(0xD800, 0xDC00)
_CONTINUED = range(0xDC80, 0xDCC0)  # surrogateescape's word for a byte within a character
_BEGINNING = range(0xDCC2, 0xDCF5)  # and for one that begins a character of several bytes
_LONGEST = 4


def loads_cut(payload: bytes) -> Any:
    """JSON whose texts may hold halves of characters, as lone surrogates. Raises ValueError."""
    try:
        return json.loads(payload.decode("utf-8", "surrogateescape"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


class Mender:
    """Joins the halves; what nothing completes becomes U+FFFD."""

    def __init__(self) -> None:
        self.rest = ""

    def mend(self, text: str, *, is_last: bool = False) -> str:
        """What is whole of the text so far; the beginning of a character is kept back, but at the end."""
        text = self.rest + text
        at = len(text) if is_last else len(text) - _pending(text)
        self.rest = text[at:]
        return _joined(text[:at])


def whole(text: str) -> str:
    """The text without halves of characters, for one that nothing follows."""
    return text if text.isascii() else Mender().mend(text, is_last=True)


def _pending(text: str) -> int:
    """How many halves at the end of `text` wait for more."""
    for back in range(1, min(_LONGEST, len(text) + 1)):
        unit = ord(text[-back])
        if (unit in _HIGH and back == 1) or (unit in _BEGINNING and back < _length(unit & 0xFF)):
            return back
        if unit not in _CONTINUED:
            break
    return 0


def _length(first_byte: int) -> int:
    """How many bytes the character has that begins so."""
    return 2 if first_byte < 0xE0 else 3 if first_byte < 0xF0 else _LONGEST


def _joined(text: str) -> str:
    if text.isascii():
        return text
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    raw = b"".join(_bytes_of(character) for character in paired)
    return raw.decode("utf-8", "replace")


def _bytes_of(character: str) -> bytes:
    unit = ord(character)
    if 0xDC80 <= unit <= 0xDCFF:
        return bytes([unit & 0xFF])
    return b"\xef\xbf\xbd" if 0xD800 <= unit <= 0xDFFF else character.encode()
