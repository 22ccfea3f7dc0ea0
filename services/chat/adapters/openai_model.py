"""A language model behind the OpenAI protocol.

aiohttp is used as it is: a token passes through as few layers as possible, and its errors tell a connection that was
never opened from one that broke, which decides whether a request may be sent again.
"""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp

from services.chat.adapters.chunks import ChunkReader
from services.chat.adapters.dialect import MAX_LESSONS, Dialect, option_refused
from services.chat.adapters.refusals import model_errors, refusal_of
from services.chat.dialogue.errors import OptionRefused
from services.chat.errors import ModelRefused, ModelUnavailable
from services.chat.generation import Ask, Completion, Heard, Piece
from services.chat.models.configured import ProviderEntry
from services.chat.settings import Settings
from shared import telemetry

_PING_SECONDS = 1.0
_COUNTS_SECONDS = 2.0  # for what may follow an answer that is whole, on a connection that is not closed
_MAX_ERROR_BYTES = 64 * 1024
_MAX_DIALECTS = 256
_LARGE_BYTES = 256 * 1024
_ASKS_OTHERWISE = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a generation may take, in seconds."""

    connect_seconds: float
    first_token_seconds: float
    between_tokens_seconds: float
    temperature: float | None

    @classmethod
    def of(cls, settings: Settings) -> "Timing":
        return cls(
            connect_seconds=settings.llm_connect_seconds,
            first_token_seconds=settings.llm_first_token_seconds,
            between_tokens_seconds=settings.llm_between_tokens_seconds,
            temperature=settings.llm_temperature,
        )


@asynccontextmanager
async def open_session(settings: Settings, entry: ProviderEntry) -> AsyncIterator[aiohttp.ClientSession]:
    """A pool of the provider's own, so that a slow one takes no connection from anything else."""
    seconds = settings.llm_connect_seconds
    timeout = aiohttp.ClientTimeout(total=None, connect=seconds, sock_connect=seconds)
    key = entry.api_key
    headers = entry.headers | ({"authorization": f"Bearer {key.get_secret_value()}"} if key else {})
    connector = aiohttp.TCPConnector(limit=settings.max_generations, keepalive_timeout=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        yield session


class OpenAIModel:
    """One provider. Asks `<url>/chat/completions`, always as a stream."""

    def __init__(self, session: aiohttp.ClientSession, url: str, timing: Timing) -> None:
        self._session = session
        self._url = url
        self._timing = timing
        self._dialects: dict[str, Dialect] = {}

    async def generate(self, ask: Ask, *, answer_tokens: int, heard: Heard) -> AsyncGenerator[Piece | Completion, None]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timing.first_token_seconds
        reader = ChunkReader()
        with model_errors():
            async with asyncio.timeout_at(deadline):
                response = await self._accepted(ask, answer_tokens)
            heard.has_begun = True
            try:
                while not reader.done and (data := await _next(response, reader, deadline)):
                    before = reader.written
                    for piece in reader.feed(data):
                        yield piece
                    if reader.written > before:  # be it calls, or a refusal, of which no piece is told
                        deadline = loop.time() + self._timing.between_tokens_seconds
                for piece in reader.close():
                    yield piece
                yield reader.completion(may_be_cut=ask.may_be_cut)
            finally:
                reader.note(heard)
                response.release() if response.content.at_eof() else response.close()

    async def ping(self) -> None:
        with model_errors():
            async with asyncio.timeout(_PING_SECONDS), self._session.get(f"{self._url}/models") as response:
                if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                    raise ModelRefused("The model did not accept the configured credentials.")
                if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise ModelUnavailable

    async def _accepted(self, ask: Ask, answer_tokens: int) -> aiohttp.ClientResponse:
        """An answer that is a completion. Asked again without what the provider does not know, and so from then on."""
        dialect = self._dialects.get(ask.model, Dialect())
        for _ in range(MAX_LESSONS + 1):
            body = dialect.body(ask, answer_tokens=answer_tokens, temperature=self._timing.temperature)
            response = await self._ask(body)
            if response.status == HTTPStatus.OK:
                self._remember(ask.model, dialect)
                return response
            refusal = await _refused(response)
            error = refusal_of(response.status, response.headers.get("retry-after", ""), refusal, ask.model)
            if response.status in _ASKS_OTHERWISE and (option := option_refused(refusal, ask)):
                raise OptionRefused(option) from error
            otherwise = dialect.corrected(refusal, body) if response.status in _ASKS_OTHERWISE else None
            if otherwise is None or not isinstance(error, ModelRefused):
                raise error
            dialect = otherwise
        raise ModelRefused

    def _remember(self, model: str, dialect: Dialect) -> None:
        if dialect != self._dialects.get(model, Dialect()):
            if len(self._dialects) >= _MAX_DIALECTS:
                del self._dialects[next(iter(self._dialects))]
            self._dialects[model] = dialect

    async def _ask(self, body: bytes) -> aiohttp.ClientResponse:
        """The head of the answer. A kept connection may have been closed meanwhile: one more try, on a new one. And one
        where opening it took too long, as it does in a process that opens many at once: nothing was sent."""
        headers = {"content-type": "application/json", "accept": "text/event-stream"}
        telemetry.inject(headers)
        try:
            return await self._session.post(f"{self._url}/chat/completions", data=_sent(body), headers=headers)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ConnectionTimeoutError):
            return await self._session.post(f"{self._url}/chat/completions", data=_sent(body), headers=headers)


def _sent(body: bytes) -> bytes | io.BytesIO:
    """A large one is sent in pieces, between which others have their turn."""
    return io.BytesIO(body) if len(body) > _LARGE_BYTES else body


async def _next(response: aiohttp.ClientResponse, reader: ChunkReader, deadline: float) -> bytes:
    """What has arrived since, or b"" at the end. A whole answer is not lost with a connection that stays silent."""
    if not reader.is_finished:
        async with asyncio.timeout_at(deadline):
            return await response.content.readany()
    try:
        async with asyncio.timeout(_COUNTS_SECONDS):
            return await response.content.readany()
    except (TimeoutError, aiohttp.ClientError):
        return b""


async def _refused(response: aiohttp.ClientResponse) -> bytes:
    """The body of what is no completion."""
    try:
        async with asyncio.timeout(_PING_SECONDS):
            return await response.content.read(_MAX_ERROR_BYTES)
    except TimeoutError:
        return b""
    finally:
        response.close()
