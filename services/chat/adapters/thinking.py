"""Tells thought from answer where a model writes both into one text, as `<think>…</think>` before the answer.

Only at the beginning is it thought: an answer about tags may well hold one. What thinks in a field of its own
(`reasoning_content`) needs none of this.
"""

from collections.abc import Iterator

from services.chat.generation import Piece, Reasoning

_OPEN, _CLOSE = "<think>", "</think>"


class Thinking:
    """Splits the pieces of one text; no more than a tag that has begun is kept back."""

    def __init__(self) -> None:
        self._rest = ""
        self._is_begun = False
        self._is_open = False
        self._skips_blank = False

    def split(self, text: str) -> Iterator[Piece]:
        """The pieces that `text` completes."""
        if self._is_begun and not self._is_open and not self._skips_blank:
            yield text
            return
        self._rest += text
        if not self._is_begun and not self._begin():
            return
        if self._is_open:
            yield from self._thought()
        if not self._is_open and (answer := self._answer()):
            yield answer

    def close(self) -> Iterator[Piece]:
        """What was kept back, at the end."""
        if self._rest and not self._skips_blank:
            yield Reasoning(self._rest) if self._is_open else self._rest
        self._rest = ""

    def _begin(self) -> bool:
        """Whether it is known how the text begins."""
        start = self._rest.lstrip()
        if len(start) < len(_OPEN) and _OPEN.startswith(start):
            return False
        self._is_begun = True
        if start.startswith(_OPEN):
            self._is_open, self._rest = True, start[len(_OPEN) :]
        return True

    def _thought(self) -> Iterator[Piece]:
        thought, tag, answer = self._rest.partition(_CLOSE)
        if tag:
            self._is_open, self._skips_blank, self._rest = False, True, answer
        else:
            kept = _begun_tag(thought)
            self._rest, thought = thought[len(thought) - kept :], thought[: len(thought) - kept]
        if thought:
            yield Reasoning(thought)

    def _answer(self) -> str:
        """The beginning of the answer, without the blank lines that part it from the thought."""
        answer = self._rest.lstrip() if self._skips_blank else self._rest
        if answer:
            self._skips_blank, self._rest = False, ""
        return answer


def _begun_tag(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of the closing tag."""
    return next((size for size in range(len(_CLOSE) - 1, 0, -1) if text.endswith(_CLOSE[:size])), 0)
