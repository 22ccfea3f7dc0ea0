"""The words by which a conversation is found, in the form in which Redis compares them: four bytes each."""

import asyncio
import struct
from collections.abc import Iterable

from shared.texts import asked_of, tokens_of

_MOST_KEPT = 4_096  # of one message: 16 KiB, half of what its text may take
_AT_ONCE = 2_000  # characters, cut into words in a fraction of a millisecond


async def kept_words(text: str) -> bytes:
    """What to keep of a message or title that is to be found; of a very long one with many words not all of them."""
    return await asyncio.to_thread(_kept, text) if len(text) > _AT_ONCE else _kept(text)


def _kept(text: str) -> bytes:
    return _packed(sorted(tokens_of(text, most=_MOST_KEPT))[:_MOST_KEPT])


def asked_words(query: str) -> list[bytes]:
    """What a query asks for, each once; empty for one without a letter or digit, which nothing answers to."""
    return [_packed([token]) for token in asked_of(query)]


def _packed(tokens: Iterable[int]) -> bytes:
    numbers = list(tokens)
    return struct.pack(f">{len(numbers)}I", *numbers)
