"""What one answer may hold: texts and metadata are counted as they are read, so that no more is read."""

from services.vectors.domain import MAX_ANSWER_BYTES
from services.vectors.errors import AnswerTooLarge


class Room:
    """What an answer has left of its `MAX_ANSWER_BYTES`."""

    def __init__(self) -> None:
        self._left = MAX_ANSWER_BYTES

    def take(self, size: int) -> None:
        """`size` bytes of it. Raises AnswerTooLarge."""
        self._left -= size
        if self._left < 0:
            raise AnswerTooLarge(MAX_ANSWER_BYTES)
