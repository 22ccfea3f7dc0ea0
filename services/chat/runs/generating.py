"""One generation: what the model says, told as it comes."""

import time
from contextlib import aclosing
from dataclasses import dataclass

from services.chat.errors import ModelUnavailable
from services.chat.generation import Ask, Completion, Reasoning
from services.chat.runs.coalescing import Coalesced
from services.chat.runs.events import DELTA, REASONING
from services.chat.runs.means import Means
from services.chat.runs.telling import Telling


@dataclass(frozen=True, slots=True)
class Said:
    """What a generation was: its text, and how it ended."""

    text: str
    completion: Completion


async def generate(ask: Ask, means: Means, telling: Telling) -> Said:
    """Raises ContextExceeded (before any text) and what else LanguageModel.generate and Telling.tell raise."""
    started_at = time.perf_counter()
    generation = Coalesced(means.model.generate(ask), means.limits.delta_window_seconds)
    pieces: list[str] = []
    async with aclosing(generation.pieces()) as stream:
        async for piece in stream:
            if isinstance(piece, Reasoning):
                await telling.tell(REASONING, {"content": piece.text})
                continue
            if not pieces:
                means.instruments.first_token.observe(time.perf_counter() - started_at)
            pieces.append(piece)
            await telling.tell(DELTA, {"content": piece})
    if generation.completion is None:
        raise ModelUnavailable
    return Said("".join(pieces), generation.completion)
