"""Reads the answer of an OpenAI-compatible chat completion: server-sent events of one JSON chunk each, or one JSON.

It keeps to what providers send rather than to what they promise: whatever can only mean one thing is read so.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from services.chat.adapters.deltas import ToolCalls, pieces_of, thought_of, usage_of
from services.chat.adapters.mending import Mender, loads_cut, whole
from services.chat.adapters.thinking import Thinking
from services.chat.errors import AnswerEmpty, ModelRefused, ModelUnavailable
from services.chat.generation import CUT, Completion, Heard, Piece, Reasoning, Usage

_MAX_LINE_BYTES = 2**20
_MAX_WHOLE_BYTES = 2**23
_MAX_ANSWER_CHARS = 1_000_000  # far above any `max_tokens`: a provider that never ends is stopped
_MAX_REASON_CHARS = 64
_DONE = b"[DONE]"
_MARK = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_NOT_THE_PROTOCOL = (ValueError, TypeError, KeyError, AttributeError, IndexError)


class ChunkReader:
    """Turns the bytes of one completion into pieces; no object is built for a chunk but its own JSON."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_whole: bool | None = None
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        self._calls = ToolCalls()
        self._thinking = Thinking()
        self._mender = Mender()
        self._refusal: list[str] = []
        self.written = 0
        """Characters of all that the model wrote: text, thought, calls and refusal."""
        self._has_text = self._has_thought = False
        self.done = False

    @property
    def is_finished(self) -> bool:
        """Whether the answer is there: what may follow are counts."""
        return self.done or self._finish_reason is not None

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that `data` completes. Raises ModelRefused for what is not the protocol."""
        self._rest += data
        if self._is_whole is None and not self._begin():
            return
        if self._is_whole:
            if len(self._rest) > _MAX_WHOLE_BYTES:
                raise ModelRefused
            return
        lines = self._rest.splitlines(keepends=True)
        self._rest = b"" if not lines or lines[-1].endswith((b"\n", b"\r")) else lines.pop()
        if len(self._rest) > _MAX_LINE_BYTES:
            raise ModelRefused
        for line in lines:
            yield from self._line(line)

    def close(self) -> Iterator[Piece]:
        """The pieces that the end completes: the whole JSON, a last line without an end, what was kept back."""
        rest, self._rest = self._rest.strip(), b""
        if self._is_whole:
            self.done = True
            yield from self._read(rest)
        elif rest:
            yield from self._line(rest)
        if self._mender.rest:
            yield from self._told(self._thinking.split(self._mender.mend("", is_last=True)))
        yield from self._told(self._thinking.close())

    def completion(self, *, may_be_cut: bool = False) -> Completion:
        """How it ended. Raises ModelUnavailable when the stream broke off before its end, and AnswerEmpty."""
        if not self.is_finished:
            raise ModelUnavailable
        calls, refusal = self._calls.whole(), "".join(self._refusal) or None
        reason = self._finish_reason or ("tool_calls" if calls else "stop")
        is_answer = self._has_text or calls or refusal or (may_be_cut and reason in CUT)
        if not is_answer:
            raise AnswerEmpty(reason, has_thought=self._has_thought)
        return Completion(reason, self._usage, calls, refusal)

    def note(self, heard: Heard) -> None:
        """What has come so far."""
        heard.usage, heard.beside = self._usage, self._calls.written + "".join(self._refusal)

    def _begin(self) -> bool:
        """Whether it is known what follows: events, or one JSON in their place."""
        if len(self._rest) < len(_MARK) and _MARK.startswith(self._rest):
            return False
        start = self._rest.removeprefix(_MARK).lstrip(_BLANK)
        if start:
            self._is_whole, self._rest = start.startswith(b"{"), start
        return bool(start)

    def _line(self, line: bytes) -> Iterator[Piece]:
        name, _, payload = line.partition(b":")
        if name == b"data" and (payload := payload.strip()):
            yield from self._read(payload)
        elif name == b"error":  # llama.cpp's of old
            raise ModelUnavailable

    def _read(self, payload: bytes) -> Iterator[Piece]:
        if payload == _DONE:
            self.done = True
            return
        try:
            yield from self._told(self._chunk(payload))
        except _NOT_THE_PROTOCOL as error:
            raise ModelRefused from error

    def _told(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """The pieces, of which note is taken."""
        for piece in pieces:
            text = piece.text if isinstance(piece, Reasoning) else piece
            if not text:
                continue
            self._has_thought |= text is not piece
            self._has_text |= text is piece and not text.isspace()
            self._count(len(text))
            yield piece

    def _count(self, characters: int) -> None:
        self.written += characters
        if self.written > _MAX_ANSWER_CHARS:
            raise ModelRefused

    def _chunk(self, payload: bytes) -> Iterator[Piece]:
        try:
            chunk: dict[str, Any] = orjson.loads(payload)
            is_cut = bool(self._mender.rest)
        except ValueError:
            chunk, is_cut = loads_cut(payload), True
        if error := chunk.get("error"):
            raise _failure(error)
        self._usage = usage_of(chunk.get("usage")) or self._usage
        if choices := chunk.get("choices"):
            yield from self._choice(choices[0], is_cut=is_cut)

    def _choice(self, choice: dict[str, Any], *, is_cut: bool) -> Iterator[Piece]:
        if reason := choice.get("finish_reason"):
            self._finish_reason = whole(str(reason))[:_MAX_REASON_CHARS]
        delta: dict[str, Any] = choice.get("delta") or choice.get("message") or {}
        if thought := thought_of(delta):
            yield Reasoning(whole(thought) if is_cut else thought)
        for piece in pieces_of(delta.get("content")):
            if isinstance(piece, Reasoning):
                yield Reasoning(whole(piece.text))
            else:
                yield from self._thinking.split(self._mender.mend(piece) if is_cut else piece)
        self._count(self._calls.add(delta.get("tool_calls")))
        if refusal := delta.get("refusal"):
            self._refusal.append(whole(str(refusal)))
            self._count(len(self._refusal[-1]))


def _failure(error: Any) -> Exception:
    """What an error in the place of a chunk means: the provider's own fault, unless it says that it is ours."""
    code = error.get("code") if isinstance(error, dict) else None
    is_ours = isinstance(code, int) and 400 <= code < 500 and code not in (408, 409, 429)
    return ModelRefused() if is_ours else ModelUnavailable()
