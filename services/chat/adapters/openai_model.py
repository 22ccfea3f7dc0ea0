"""A language model behind the OpenAI protocol.

aiohttp is used as it is: a token passes through as few layers as possible, and its errors tell a connection that was
never opened from one that broke, which decides whether a request may be sent again.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NoReturn

import aiohttp
import orjson

from services.chat.adapters.chunks import ChunkReader
from services.chat.adapters.wire import demands, message_member
from services.chat.errors import ContextExceeded, ModelRefused, ModelTimeout, ModelUnavailable, ModelUnknown
from services.chat.generation import Ask, Completion, Piece
from services.chat.settings import Settings
from shared import telemetry

_PING_SECONDS = 1.0
_MAX_ERROR_BYTES = 64 * 1024
_MAX_ANSWER_CHARS = 1_000_000  # far above any `max_tokens`: a provider that never ends is stopped
_MAX_RETRY_AFTER_SECONDS = 60
_CONTEXT_ERRORS = frozenset({"context_length_exceeded", "exceed_context_size_error"})  # OpenAI's code, llama.cpp's type
_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT})


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """How long a generation may take, in seconds, and how much it may write."""

    connect_seconds: float
    first_token_seconds: float
    between_tokens_seconds: float
    answer_tokens: int
    temperature: float | None

    @classmethod
    def of(cls, settings: Settings) -> "ModelLimits":
        return cls(
            connect_seconds=settings.llm_connect_seconds,
            first_token_seconds=settings.llm_first_token_seconds,
            between_tokens_seconds=settings.llm_between_tokens_seconds,
            answer_tokens=settings.answer_tokens,
            temperature=settings.llm_temperature,
        )


@asynccontextmanager
async def open_model(settings: Settings) -> AsyncIterator["OpenAIModel"]:
    """A model over a pool of its own, so that a slow provider takes no connection from anything else."""
    limits = ModelLimits.of(settings)
    timeout = aiohttp.ClientTimeout(total=None, connect=limits.connect_seconds, sock_connect=limits.connect_seconds)
    key = settings.llm_api_key
    headers = {"authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    connector = aiohttp.TCPConnector(limit=settings.max_runs, keepalive_timeout=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        yield OpenAIModel(session, settings.llm_url.rstrip("/"), limits)


class OpenAIModel:
    """Asks `<url>/chat/completions`, always as a stream."""

    def __init__(self, session: aiohttp.ClientSession, url: str, limits: ModelLimits) -> None:
        self._session = session
        self._url = url
        self._limits = limits

    async def generate(self, ask: Ask) -> AsyncGenerator[Piece | Completion, None]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.first_token_seconds
        written = 0
        with _model_errors():
            async with asyncio.timeout_at(deadline):
                response = await self._ask(self._request(ask))
            try:
                await _require_success(response, ask.model)
                reader = ChunkReader()
                while not reader.done and (data := await _next(response, deadline)):
                    for piece in reader.feed(data):
                        deadline = loop.time() + self._limits.between_tokens_seconds
                        written += len(piece if isinstance(piece, str) else piece.text)
                        yield piece
                    if written > _MAX_ANSWER_CHARS:
                        raise ModelRefused
                yield reader.completion()
            finally:
                response.release() if response.content.at_eof() else response.close()

    async def ping(self) -> None:
        with _model_errors():
            async with asyncio.timeout(_PING_SECONDS), self._session.get(f"{self._url}/models") as response:
                if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                    raise ModelRefused("The model did not accept the configured credentials.")
                if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise ModelUnavailable

    def _request(self, ask: Ask) -> bytes:
        body: dict[str, Any] = {
            "model": ask.model,
            "messages": [message_member(message) for message in ask.messages],
            "max_tokens": self._limits.answer_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._limits.temperature is not None:
            body["temperature"] = self._limits.temperature
        return orjson.dumps(body | demands(ask))

    async def _ask(self, body: bytes) -> aiohttp.ClientResponse:
        """The head of the answer. A kept connection may have been closed meanwhile: one more try, on a new one."""
        headers = {"content-type": "application/json", "accept": "text/event-stream"}
        telemetry.inject(headers)
        try:
            return await self._session.post(f"{self._url}/chat/completions", data=body, headers=headers)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await self._session.post(f"{self._url}/chat/completions", data=body, headers=headers)


async def _next(response: aiohttp.ClientResponse, deadline: float) -> bytes:
    """What has arrived since, or b"" at the end."""
    async with asyncio.timeout_at(deadline):
        return await response.content.readany()


async def _require_success(response: aiohttp.ClientResponse, model: str) -> None:
    if response.status == HTTPStatus.OK:
        return
    async with asyncio.timeout(_PING_SECONDS):
        body = await response.content.read(_MAX_ERROR_BYTES)
    _refuse(response.status, response.headers.get("retry-after", ""), _error_words(body), model)


def _refuse(status: int, retry_after: str, words: frozenset[str], model: str) -> NoReturn:
    if words & _CONTEXT_ERRORS:
        raise ContextExceeded
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _BUSY:
        seconds = int(retry_after) if retry_after.isdecimal() else 2
        raise ModelUnavailable(retry_after_seconds=min(max(seconds, 1), _MAX_RETRY_AFTER_SECONDS))
    if status == HTTPStatus.NOT_FOUND:
        raise ModelUnknown(model)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise ModelRefused("The model did not accept the configured credentials.")
    raise ModelRefused


def _error_words(body: bytes) -> frozenset[str]:
    """The `code` and `type` of an error body; empty for a body of another shape. The message is not ours to show."""
    try:
        error = orjson.loads(body)["error"]
        return frozenset({str(error.get("code")), str(error.get("type"))})
    except (ValueError, TypeError, KeyError, AttributeError):
        return frozenset()


@contextmanager
def _model_errors() -> Iterator[None]:
    """Translate what the client raises inside the block. Raises ModelUnavailable, ModelTimeout, ModelRefused."""
    try:
        yield
    except aiohttp.InvalidURL as error:
        raise ModelRefused from error
    except aiohttp.ClientError as error:
        raise ModelUnavailable from error
    except TimeoutError as error:
        raise ModelTimeout from error
