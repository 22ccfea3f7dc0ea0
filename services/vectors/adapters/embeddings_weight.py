"""How long a model will take for a text, told before it reads it; and what it must not be given as it is.

A model takes time by tokens. Bytes of prose tell them well in any script, some four to a token or more; signs are a
token each, and digits half of one, so as many of them take longer. A few characters stand for a phrase (U+FDFA for
eighteen letters), which models write out first (NFKC): a short text may be a long one.
"""

import re
import unicodedata
from typing import Final

from services.vectors.domain import MAX_TEXT_CHARS
from services.vectors.errors import TextExpands

MOST_WRITTEN_OUT: Final = 4 * MAX_TEXT_CHARS
_LONG: Final = 4  # characters: no other text grows much
_PLACES: Final = (range(0x2000, 0x3400), range(0xFB00, 0xFE00))  # where those are that grow so
_WRITTEN_OUT: Final = {
    char: written
    for place in _PLACES
    for char in map(chr, place)
    if len(written := unicodedata.normalize("NFKC", char)) >= _LONG
}
_STANDS_FOR_MORE: Final = re.compile(f"[{''.join(_WRITTEN_OUT)}]")
_DIGITS: Final = b"0123456789"
_SIGNS: Final = bytes(byte for byte in range(33, 127) if not chr(byte).isalnum())


def written_out(text: str) -> str:
    """`text` with what stands for a phrase as that phrase."""
    return text if text.isascii() else _STANDS_FOR_MORE.sub(lambda found: _WRITTEN_OUT[found[0]], text)


def weight(text: str) -> int:
    """How many bytes of prose take a model about as long as `text`.

    A few passes in C. Raises TextExpands for one that is far longer written out than any text may be.
    """
    written = written_out(text)
    if len(written) > MOST_WRITTEN_OUT:
        raise TextExpands(MOST_WRITTEN_OUT)
    data = written.encode()
    digits, signs = (len(data) - len(data.translate(None, some)) for some in (_DIGITS, _SIGNS))
    return len(data) + digits + 3 * signs
