"""A provider whose generations are spans of the trace they belong to, without a word of what was asked and said."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import urlsplit

from services.chat.adapters.openai_model import OpenAIModel
from services.chat.generation import Ask, Completion, Heard, Piece
from shared import telemetry
from shared.telemetry import SpanKind, conventions


class TracedModel:
    """Provider of `models.routing`, over another."""

    def __init__(self, model: OpenAIModel, provider: str, url: str) -> None:
        self._model = model
        address = urlsplit(url)
        self._attributes: dict[str, telemetry.Value] = {
            conventions.GEN_AI_OPERATION: "chat",
            conventions.GEN_AI_PROVIDER: provider,
            conventions.SERVER_ADDRESS: address.hostname or "",
            conventions.SERVER_PORT: address.port or {"https": 443}.get(address.scheme, 80),
        }

    async def generate(self, ask: Ask, *, answer_tokens: int, heard: Heard) -> AsyncGenerator[Piece | Completion, None]:
        asked: dict[str, telemetry.Value] = {
            conventions.GEN_AI_REQUEST_MODEL: ask.model,
            conventions.GEN_AI_REQUEST_MAX_TOKENS: answer_tokens,
        }
        # Begun and ended, not entered: between two pieces this generator's caller does other things.
        span = telemetry.span(f"chat {ask.model}", SpanKind.CLIENT, self._attributes | asked)
        started, is_first = time.perf_counter(), True
        try:
            async with aclosing(self._model.generate(ask, answer_tokens=answer_tokens, heard=heard)) as items:
                async for item in items:
                    if is_first:
                        is_first = False
                        span.set(conventions.GEN_AI_TIME_TO_FIRST_CHUNK, time.perf_counter() - started)
                    if isinstance(item, Completion):
                        span.set(conventions.GEN_AI_FINISH_REASONS, [item.finish_reason])
                    yield item
        except BaseException as error:
            _end(span, heard, error)
            raise
        _end(span, heard)

    async def ping(self) -> None:
        await self._model.ping()


def _end(span: telemetry.Span, heard: Heard, error: BaseException | None = None) -> None:
    if heard.usage:
        span.set(conventions.GEN_AI_INPUT_TOKENS, heard.usage.prompt_tokens)
        span.set(conventions.GEN_AI_OUTPUT_TOKENS, heard.usage.completion_tokens)
    span.end(error)
