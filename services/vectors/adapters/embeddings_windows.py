"""Texts longer than a model reads at once: cut into windows of about one size, whose vectors are averaged.

What a model cuts off by itself is never found again. The mean of the windows' vectors, weighted by their tokens and at
their length again, stands for the whole: https://cookbook.openai.com/examples/embedding_long_inputs.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from services.vectors.domain import Embedded

_BLANK: Final = re.compile(r"\s+")
_SENTENCE: Final = re.compile(r"[.!?](?=\s)\s+|[。！？]+|\n+")  # noqa: RUF001 - as Chinese and Japanese write them
_SEEN: Final = 0.25  # of a text, to each side of its middle, where an end of a sentence or a word is looked for
_WORD_OR_SIGN: Final = re.compile(r"([^\W\d_]+)|\S")
_CHAR_BYTES, _PREFIX_TOKENS = 4, 64
_WORD_BYTES: Final = 3  # of a token within a word: prose has 3.5 to 12, but its words are not all common


def estimated_tokens(text: str) -> int:
    """For a model whose vocabulary is not here: rather too many. Digits, signs, and each three bytes of a word."""
    words = (found[1] for found in _WORD_OR_SIGN.finditer(text))
    return 2 + sum(-(-len(word.encode()) // _WORD_BYTES) if word else 1 for word in words)


def is_short(text: str, most: int) -> bool:
    """Whether `text` fits into `most` tokens whatever it says: no token has less than a byte."""
    return len(text) * _CHAR_BYTES + _PREFIX_TOKENS <= most


def windows_of(text: str, tokens: Callable[[str], int], most: int) -> list[str]:
    """`text` in parts of at most `most` tokens each, of which nothing is left out."""
    if is_short(text, most) or len(text) < 2 or tokens(text) <= most:
        return [text]
    at = _cut(text)
    return [*windows_of(text[:at], tokens, most), *windows_of(text[at:], tokens, most)]


def _cut(text: str) -> int:
    """Where a text is cut in two: near its middle behind a sentence, else behind a word, else in its middle."""
    middle, seen = len(text) // 2, int(len(text) * _SEEN)
    for ending in (_SENTENCE, _BLANK):
        found = [match.end() for match in ending.finditer(text, middle - seen, middle + seen)]
        if found:
            return min(found, key=lambda at: abs(at - middle))
    return middle


def averaged(windows: Sequence[Embedded]) -> Embedded:
    """What stands for all of them together: their mean, weighted by tokens, as long as they are in the mean."""
    if len(windows) == 1:
        return windows[0]
    weights = [window.tokens for window in windows]
    vectors = np.stack([window.vector for window in windows]).astype(np.float64)
    mean = np.average(vectors, axis=0, weights=weights)
    length = np.average(np.linalg.norm(vectors, axis=1), weights=weights)
    scale = length / (np.linalg.norm(mean) or 1.0)
    return Embedded((mean * scale).astype(np.float32), sum(weights))
