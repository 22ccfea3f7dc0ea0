"""What it means when a provider answers something else than a completion, and when there is no answer at all."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import aiohttp
import orjson

from services.chat.errors import ContextExceeded, ModelRefused, ModelTimeout, ModelUnavailable, ModelUnknown

_MAX_RETRY_AFTER_SECONDS = 60
_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})  # OpenAI's code, llama.cpp's type
_CONTEXT_WORDS = re.compile(r"maximum context length|context (length|window|size)|prompt is too long", re.IGNORECASE)
_UNKNOWN_CODES = frozenset({"model_not_found"})
_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT})
_INPUT = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})


def refusal_of(status: int, retry_after: str, body: bytes, model: str) -> Exception:
    """The error that an answer with this status is. The provider's words are not ours to show."""
    codes, message = _error_words(body)
    if codes & _CONTEXT_CODES or (status in _INPUT and _CONTEXT_WORDS.search(message)):
        return ContextExceeded()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _BUSY:
        seconds = int(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10 else 2
        return ModelUnavailable(retry_after_seconds=min(max(seconds, 1), _MAX_RETRY_AFTER_SECONDS))
    if status == HTTPStatus.NOT_FOUND or codes & _UNKNOWN_CODES:
        return ModelUnknown(model)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ModelRefused("The model did not accept the configured credentials.")
    return ModelRefused()


def _error_words(body: bytes) -> tuple[frozenset[str], str]:
    """The `code` and `type` of an error body, and its message; empty for a body of another shape."""
    try:
        members = orjson.loads(body)
        error = members.get("error") or members
        return frozenset({str(error.get("code")), str(error.get("type"))}), str(error.get("message", ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        return frozenset(), ""


@contextmanager
def model_errors() -> Iterator[None]:
    """Translate what the client raises inside the block. Raises ModelUnavailable, ModelTimeout, ModelRefused."""
    try:
        yield
    except aiohttp.InvalidURL as error:
        raise ModelRefused from error
    except aiohttp.ClientError as error:
        raise ModelUnavailable from error
    except TimeoutError as error:
        raise ModelTimeout from error
