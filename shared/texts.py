"""What a text says, word by word, for whoever finds texts by their words.

A text is folded (NFKC, then case), and cut at whatever is neither letter, digit nor mark. Scripts that put no space
between words (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese) are cut into pairs of neighbouring characters, and
into single ones, which a query of one character asks for.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterator
from operator import add

# Their punctuation is left out.
_UNSPACED = (
    "\u0e01-\u0e4e\u0e50-\u0e59"  # Thai
    "\u0e81-\u0edf"  # Lao
    "\u1000-\u1049\u1050-\u109f"  # Burmese
    "\u1780-\u17d3\u17e0-\u17e9"  # Khmer
    "\u1100-\u11ff\uac00-\ud7a3"  # Korean, which has spaces, and glues particles to its words
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # Japanese syllables
    "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Chinese characters
)
_MARKS = "".join(char for char in map(chr, range(0x300, 0x11A00)) if unicodedata.category(char).startswith("M"))
_MOST_MARKS = 30  # one on the other that count: as Unicode's annex 15 bounds them for its stream-safe text
# What normalizing puts in order among its neighbours, in a time that grows with the square of their number.
_ORDERED = "".join(char for char in map(chr, range(0x300, 0x1F000)) if unicodedata.combining(char))
_HEAPED = re.compile(rf"([{_ORDERED}]{{{_MOST_MARKS}}})[{_ORDERED}]+")
_PIECE = 100
_CHARS_A_TOKEN = 16
_RUNS = re.compile(rf"([{_UNSPACED}]+)|((?:[^\W_{_UNSPACED}][{_MARKS}]*)+)")


def runs_of(text: str, most_chars: int | None = None) -> Iterator[tuple[str, str]]:
    """Each a run of characters without spaces, or a word; found one by one, so that other threads go on in between.

    With `most_chars` only of so much of the text as it is written out: one character may stand for eighteen.
    """
    bounded = text if text.isascii() else _HEAPED.sub(r"\1", text)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", bounded)[:most_chars].casefold())
    for found in _RUNS.finditer(folded):
        yield found[1] or "", found[2] or ""


def pairs_of(run: str) -> Iterator[str]:
    """Its neighbouring characters, two and two."""
    return map(add, run, run[1:])


def token_of(word: str) -> int:
    """The same in every process and version: it is stored. Of a million words some hundred pairs share a number."""
    return zlib.crc32(word.encode())


def tokens_of(text: str, *, most: int | None = None) -> set[int]:
    """The tokens of a text that is to be found by any of its words.

    With `most` only the beginning of a long text is looked at, until about so many are found: some hundred more may be.
    """
    tokens = set[int]()
    for unspaced, word in runs_of(text, most and most * _CHARS_A_TOKEN):
        if word:
            tokens.add(token_of(word))
        for piece in _pieces_of(unspaced):
            tokens.update(map(token_of, piece))
            tokens.update(map(token_of, pairs_of(piece)))
            if most and len(tokens) >= most:
                return tokens
        if most and len(tokens) >= most:
            break
    return tokens


def _pieces_of(run: str) -> Iterator[str]:
    """The run in pieces that overlap by a character, so that they have the pairs that it has."""
    return (run[at : at + _PIECE + 1] for at in range(0, len(run), _PIECE))


def asked_of(query: str) -> list[int]:
    """The tokens that a query asks for, each once, in the order of their numbers."""
    tokens: set[int] = set()
    for unspaced, word in runs_of(query):
        if word or len(unspaced) == 1:
            tokens.add(token_of(word or unspaced))
        else:
            tokens.update(map(token_of, pairs_of(unspaced)))
    return sorted(tokens)
