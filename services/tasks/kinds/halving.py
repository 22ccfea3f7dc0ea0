"""Texts for `vectors` in as many requests as its model has time for."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from shared.errors import ServiceError

T = TypeVar("T")
_TOO_MUCH_TEXT: Final = "vectors.too_much_text"


async def in_halves(items: Sequence[T], store: Callable[[Sequence[T]], Awaitable[None]]) -> None:
    """Have `store` take `items` at once, else in halves and halves of these, while they are too much for a request."""
    try:
        await store(items)
    except ServiceError as error:
        if error.code != _TOO_MUCH_TEXT or len(items) < 2:
            raise
        middle = len(items) // 2
        await in_halves(items[:middle], store)
        await in_halves(items[middle:], store)
