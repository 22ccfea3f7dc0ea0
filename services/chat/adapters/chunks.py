"""Reads the stream of an OpenAI-compatible chat completion: server-sent events, one JSON chunk each."""

from collections.abc import Iterator
from typing import Any

import orjson

from services.chat.errors import ModelRefused, ModelUnavailable
from services.chat.generation import Completion, Usage

_MAX_LINE_BYTES = 2**20
_DONE = b"[DONE]"


class ChunkReader:
    """Turns the bytes of one completion into pieces of text; no object is built for a chunk but its own JSON."""

    def __init__(self) -> None:
        self._rest = b""
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        self.done = False

    def feed(self, data: bytes) -> Iterator[str]:
        """The pieces of text that `data` completes. Raises ModelRefused for what is not the protocol."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MAX_LINE_BYTES:
            raise ModelRefused
        for line in lines:
            if line.startswith(b"data:") and (text := self._read(line[5:].strip())):
                yield text

    def completion(self) -> Completion:
        """How it ended. Raises ModelUnavailable when the stream broke off before its end."""
        if self._finish_reason is None and not self.done:
            raise ModelUnavailable
        return Completion(self._finish_reason or "stop", self._usage)

    def _read(self, payload: bytes) -> str | None:
        if payload == _DONE:
            self.done = True
            return None
        try:
            chunk: dict[str, Any] = orjson.loads(payload)
            if "error" in chunk:
                raise ModelUnavailable
            if usage := chunk.get("usage"):
                self._usage = _usage(usage)
            if not (choices := chunk.get("choices")):
                return None
            choice: dict[str, Any] = choices[0]
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            return _text(choice)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelRefused from error


def _text(choice: dict[str, Any]) -> str | None:
    text = (choice.get("delta") or {}).get("content")
    if text is None or isinstance(text, str):
        return text
    raise ValueError("content is no text")


def _usage(usage: dict[str, Any]) -> Usage:
    prompt, completion = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    return Usage(prompt, completion, int(usage.get("total_tokens") or prompt + completion))
