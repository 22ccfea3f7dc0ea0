"""Lists: a page and an opaque, signed cursor that is bound to the filters it was made for."""

import base64
import hashlib
import hmac
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Query
from pydantic import Field

from shared.errors import Invalid
from shared.schemas import ResponseModel

Item = TypeVar("Item")
_SIGNATURE_BYTES = 16

Limit = Annotated[int, Query(ge=1, le=100, description="how many items at most")]
Cursor = Annotated[str | None, Query(max_length=1024, description="`next_cursor` of the page before")]


class Page(ResponseModel, Generic[Item]):
    """One page; `next_cursor` is null on the last."""

    items: list[Item]
    next_cursor: str | None = Field(description="pass it as `cursor` for the next page, with the same filters")


class CursorCodec:
    """Signs cursors, so that a position is never taken from a caller's hand."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

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


Row = TypeVar("Row")


def cut(rows: list[Row], limit: int) -> tuple[list[Row], Row | None]:
    """Of up to `limit + 1` rows: the page, and the row whose position is the next cursor (None on the last page)."""
    page = rows[:limit]
    return page, (page[-1] if len(rows) > limit else None)
