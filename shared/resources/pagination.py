"""Lists: a page and an opaque, signed cursor that is bound to the filters it was made for."""

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Query
from pydantic import Field

from shared.errors import Invalid
from shared.schemas import ResponseModel

Item = TypeVar("Item")
Row = TypeVar("Row")
_SIGNATURE_BYTES = 16

Limit = Annotated[int, Query(ge=1, le=100, description="how many items at most")]
Cursor = Annotated[str | None, Query(max_length=1024, description="`next_cursor` of the page before")]


class Page(ResponseModel, Generic[Item]):
    """One page; `next_cursor` is null on the last."""

    items: list[Item]
    next_cursor: str | None = Field(description="pass it as `cursor` for the next page, with the same filters")


@dataclass(frozen=True, slots=True)
class Slice(Generic[Row]):
    """A stretch of a list as it was read, and the cursor of what follows it."""

    rows: list[Row]
    next_cursor: str | None

    def page(self, read: Callable[[Row], Item]) -> Page[Item]:
        """The page that shows each row as `read` makes it."""
        return Page(items=[read(row) for row in self.rows], next_cursor=self.next_cursor)


class CursorCodec:
    """Signs cursors, so that a position is never taken from a caller's hand."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    async def slice(
        self,
        rows: Callable[[Any, int], Awaitable[Sequence[Row]]],
        *,
        key: Callable[[Row], Any],
        scope: list[Any],
        limit: int,
        cursor: str | None,
    ) -> Slice[Row]:
        """Up to `limit` rows from where `cursor` points, or from the first.

        `rows(after, most)` reads up to `most` rows that follow the position `after` (None at the start); `key` tells
        the position of a row (JSON values, in a list where there are several). `scope` is what the cursor is bound to.
        Raises Invalid for a cursor that was not made for this list.
        """
        found = await rows(self._after(cursor, scope), limit + 1)
        kept = list(found[:limit])
        if len(found) <= limit:
            return Slice(kept, None)
        position = key(kept[-1])
        return Slice(kept, self.encode(position if isinstance(position, list) else [position], scope=scope))

    def _after(self, cursor: str | None, scope: list[Any]) -> Any:
        position = self.decode(cursor, scope=scope)
        return position[0] if position is not None and len(position) == 1 else position

    def encode(self, position: list[Any], *, scope: list[Any]) -> str:
        """A cursor for `position` (JSON values), valid only together with `scope` (list name, tenant, filters)."""
        payload = orjson.dumps(position)
        return base64.urlsafe_b64encode(self._sign(payload, scope) + payload).decode().rstrip("=")

    def decode(self, cursor: str | None, *, scope: list[Any]) -> list[Any] | None:
        """The position, None without a cursor. Raises Invalid for a cursor that was not made for this list."""
        if cursor is None:
            return None
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except ValueError as error:
            raise _refused() from error
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(payload, scope)):
            raise _refused()
        position: list[Any] = orjson.loads(payload)
        return position

    def _sign(self, payload: bytes, scope: list[Any]) -> bytes:
        message = orjson.dumps(scope) + b"\x00" + payload
        return hmac.digest(self._secret, message, hashlib.sha256)[:_SIGNATURE_BYTES]


def _refused() -> Invalid:
    return Invalid.field("query/cursor", "cursor_invalid", "The cursor does not belong to this list and these filters.")
