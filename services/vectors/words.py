"""What keyword search knows of a text, the same on every engine: its words as numbers, each with its weight.

A text is folded (NFKC, then case), and cut at whatever is neither letter, digit nor mark. Scripts that put no space
between words (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese) are cut into pairs of neighbouring characters, and
into single ones, which a query of one character asks for.

Scores are BM25's (Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75), in the two factors that sparse vectors know: the
weight of a word in a text, made here when it is stored, and the rarity of the word, `rarity`, of which the engine knows
the counts when it is asked. A text's length is compared with a fixed one, not with the collection's average: that one
moves with every store, and with it all weights.
"""

import math
import re
import unicodedata
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from operator import add

import numpy as np
from numpy.typing import NDArray

MAX_QUERY_WORDS = 2048
_K1, _B = 1.2, 0.75
_USUAL_LENGTH = 128  # words, or characters where there are no spaces: about a passage
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
_RUNS = re.compile(rf"([{_UNSPACED}]+)|((?:[^\W_{_UNSPACED}][{_MARKS}]*)+)")


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a stored text, `weights[i]` being that of `tokens[i]`; no token stands there twice."""

    tokens: NDArray[np.uint32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.tokens)


def words_of(text: str | None) -> Words:
    """What to keep of a text that is stored; empty for none, and for one without a letter or digit."""
    counts: Counter[str] = Counter()
    length = 0
    for unspaced, word in _runs(text or ""):
        if word:
            counts[word] += 1
            length += 1
        else:
            counts.update(unspaced)
            counts.update(_pairs(unspaced))
            length += len(unspaced)
    frequencies: defaultdict[int, int] = defaultdict(int)
    for word, count in counts.items():
        frequencies[_token(word)] += count
    tokens = np.fromiter(frequencies.keys(), dtype=np.uint32, count=len(frequencies))
    often = np.fromiter(frequencies.values(), dtype=np.float64, count=len(frequencies))
    weights = often * (_K1 + 1) / (often + _K1 * (1 - _B + _B * length / _USUAL_LENGTH))
    return Words(tokens, weights.astype(np.float32))


def asked_of(query: str) -> list[int]:
    """The tokens that a query asks for, each once, in the order of their numbers."""
    tokens: set[int] = set()
    for unspaced, word in _runs(query):
        if word or len(unspaced) == 1:
            tokens.add(_token(word or unspaced))
        else:
            tokens.update(map(_token, _pairs(unspaced)))
    return sorted(tokens)


def rarity(records: int, holding: int) -> float:
    """BM25's inverse document frequency of a word that `holding` of `records` with words hold; always positive."""
    return math.log(1 + (records - holding + 0.5) / (holding + 0.5))


def _runs(text: str) -> Iterator[tuple[str, str]]:
    """Each a run of characters without spaces, or a word; found one by one, so that other threads go on in between."""
    bounded = text if text.isascii() else _HEAPED.sub(r"\1", text)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", bounded).casefold())
    for found in _RUNS.finditer(folded):
        yield found[1] or "", found[2] or ""


def _pairs(run: str) -> Iterator[str]:
    return map(add, run, run[1:])


def _token(word: str) -> int:
    """The same in every process and version: it is stored. Of a million words some hundred pairs share a number."""
    return zlib.crc32(word.encode())
