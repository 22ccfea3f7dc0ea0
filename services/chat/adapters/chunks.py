"""Reads the stream of an OpenAI-compatible chat completion: server-sent events, one JSON chunk each."""

from collections.abc import Iterator
from typing import Any

import orjson

from services.chat.errors import ModelRefused, ModelUnavailable
from services.chat.generation import Completion, Piece, Reasoning, ToolCall, Usage

_MAX_LINE_BYTES = 2**20
_MAX_CALLS = 128
_DONE = b"[DONE]"


class ChunkReader:
    """Turns the bytes of one completion into pieces of text; no object is built for a chunk but its own JSON."""

    def __init__(self) -> None:
        self._rest = b""
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        self._calls: dict[int, dict[str, str]] = {}
        self._refusal = ""
        self.done = False

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that `data` completes. Raises ModelRefused for what is not the protocol."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MAX_LINE_BYTES:
            raise ModelRefused
        for line in lines:
            if line.startswith(b"data:") and (piece := self._read(line[5:].strip())):
                yield piece

    def completion(self) -> Completion:
        """How it ended. Raises ModelUnavailable when the stream broke off before its end."""
        if self._finish_reason is None and not self.done:
            raise ModelUnavailable
        calls = [ToolCall(call["id"], call["name"], call["arguments"]) for _, call in sorted(self._calls.items())]
        return Completion(self._finish_reason or "stop", self._usage, calls, self._refusal or None)

    def _read(self, payload: bytes) -> Piece | None:
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
            self._collect(choice.get("delta") or {})
            return _piece(choice)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelRefused from error

    def _collect(self, delta: dict[str, Any]) -> None:
        """Calls come in parts: the first has the id and the name, all of them some of the arguments."""
        self._refusal += delta.get("refusal") or ""
        for part in delta.get("tool_calls") or ():
            call = self._calls.setdefault(int(part.get("index") or 0), {"id": "", "name": "", "arguments": ""})
            if len(self._calls) > _MAX_CALLS:
                raise ValueError("too many calls")
            function = part.get("function") or {}
            call["id"] = part.get("id") or call["id"]
            call["name"] = function.get("name") or call["name"]
            call["arguments"] += function.get("arguments") or ""
            if len(call["arguments"]) > _MAX_LINE_BYTES:
                raise ValueError("arguments too long")


def _piece(choice: dict[str, Any]) -> Piece | None:
    delta = choice.get("delta") or {}
    text, thought = delta.get("content"), delta.get("reasoning_content")
    if isinstance(thought, str) and thought and not text:
        return Reasoning(thought)
    if text is None or isinstance(text, str):
        return text
    raise ValueError("content is no text")


def _usage(usage: dict[str, Any]) -> Usage:
    prompt, completion = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    return Usage(prompt, completion, int(usage.get("total_tokens") or prompt + completion))
