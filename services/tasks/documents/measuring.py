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
    found, texts = await asyncio.to_thread(_cut_all, blocks, max(_LEAST_CHARS, min(_PIECE_CHARS, most // 2)))
    fenced = [one for one in found if one.fence]
    fences = [f"{one.fence}{one.block.language}\n\n{one.fence}" for one in fenced]
    sizes = iter(await measure(fences + [text for of_block in texts for text in of_block]))
    for one in fenced:
        one.fence_size = next(sizes)
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


def _cut_all(blocks: Sequence[Block], chars: int) -> tuple[list[Measured], list[list[str]]]:
    from semantic_text_splitter import TextSplitter  # here: the API process does not need it

    splitter = TextSplitter(chars, trim=False)
    return [Measured(block, fence_of(block)) for block in blocks], [splitter.chunks(block.text) for block in blocks]
