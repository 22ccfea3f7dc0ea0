"""The words by which a conversation is found, in the form in which Redis compares them: four bytes each."""

import struct
from collections.abc import Iterable

from shared.texts import asked_of, tokens_of

_MOST_KEPT = 4_096  # of one message: 16 KiB, half of what its text may take


def kept_words(text: str) -> bytes:
    """What to keep of a message or title that is to be found; of a very long one with many words not all of them."""
    return _packed(sorted(tokens_of(text))[:_MOST_KEPT])


def asked_words(query: str) -> list[bytes]:
    """What a query asks for, each once; empty for one without a letter or digit, which nothing answers to."""
    return [_packed([token]) for token in asked_of(query)]


def _packed(tokens: Iterable[int]) -> bytes:
    numbers = list(tokens)
    return struct.pack(f">{len(numbers)}I", *numbers)
