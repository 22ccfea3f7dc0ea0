"""How large the pieces of blocks are: in tokens of the model that embeds them, or in characters."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from services.tasks.documents.blocks import Block
from services.tasks.documents.chunking import Measured, fence_of

Measure = Callable[[Sequence[str]], Awaitable[list[int]]]
"""The sizes of texts, in their order. None is larger joined to another than apart."""

_PIECE_CHARS: Final = 120  # a sentence or two: what is asked for the size of, so that packing asks nobody
_LEAST_CHARS: Final = 8


async def measured(blocks: Sequence[Block], measure: Measure, most: int) -> list[Measured]:
    """`blocks` in pieces of at most `most`, with their fence: cut at sentences, else words, else characters."""
    texts = await asyncio.to_thread(_cut_all, blocks, max(_LEAST_CHARS, min(_PIECE_CHARS, most // 2)))
    fences = [f"{fence}{block.language}\n\n{fence}" if (fence := fence_of(block)) else "" for block in blocks]
    sizes = iter(await measure([one for one in fences if one] + [text for of_block in texts for text in of_block]))
    found = [Measured(block, next(sizes) if fence else 0) for block, fence in zip(blocks, fences, strict=True)]
    for one, of_block in zip(found, texts, strict=True):
        for text in of_block:
            await _add(one, text, next(sizes), measure, max(1, most - one.fence_size))
    return found


async def _add(to: Measured, text: str, size: int, measure: Measure, most: int) -> None:
    """A piece that is larger than a chunk in halves, until they fit."""
    if size <= most or len(text) < 2:
        to.add(text, min(size, most))
        return
    halves = [text[: len(text) // 2], text[len(text) // 2 :]]
    for half, of_half in zip(halves, await measure(halves), strict=True):
        await _add(to, half, of_half, measure, most)


def _cut_all(blocks: Sequence[Block], chars: int) -> list[list[str]]:
    from semantic_text_splitter import TextSplitter  # here: the API process does not need it

    splitter = TextSplitter(chars, trim=False)
    return [splitter.chunks(block.text) for block in blocks]
