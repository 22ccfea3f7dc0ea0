"""What a request with an `Idempotency-Key` carries to the place where its effect is stored.

Between an effect and any memory of its answer a process may die, and a commit may take place behind an answer of 503.
So whoever has the effect stores the key with it, in the same transaction where the store has any, or makes ids that a
repetition makes again.
"""

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Request, Response

from shared.errors import Invalid

_ONCE = "sutazai.once"
REPLAYED: Final = "Idempotency-Replayed"


class IdempotencyKeyReused(Invalid):
    code = "common.idempotency_key_reused"
    meaning = "This `Idempotency-Key` came with another body before; a new request needs a new key."
    default_detail = "This Idempotency-Key was used for a different request."


@dataclass(slots=True)
class Once:
    """One keyed request. A repetition has an equal one."""

    digest: bytes
    """Of the caller and the key: 32 bytes."""
    of: bytes
    """Of method, path and body: 32 bytes. Another request under the same key has another one."""
    is_repetition: bool = field(default=False, compare=False)
    """Whether the effect was there already; the answer then says so."""

    def found(self, of: bytes) -> None:
        """The effect of a request like `of` is there under this key. Raises IdempotencyKeyReused if it was another."""
        if of != self.of:
            raise IdempotencyKeyReused
        self.is_repetition = True

    def id_at(self, position: int) -> str:
        """An id for the thing at `position`, the same in every repetition, and another for every other request."""
        made = hashlib.sha256(self.digest + self.of + position.to_bytes(8, "big")).digest()
        return str(uuid.UUID(int=int.from_bytes(made[:16], "big") & _FREE | _VERSION_8))

    def at(self, position: int) -> "Once":
        """The key of the effect at `position` of many that are stored one by one."""
        return Once(hashlib.sha256(self.digest + position.to_bytes(8, "big")).digest(), self.of)


_FREE = ~(0xF << 76 | 0x3 << 62) & (1 << 128) - 1
_VERSION_8 = 0x8 << 76 | 0x2 << 62  # RFC 9562: an id of one's own making


async def _once(request: Request) -> Once | None:
    found: Once | None = request.scope.get(_ONCE)
    return found


_GIVEN = Depends(_once)
Keyed = Annotated[Once | None, _GIVEN]
"""The key of this request, None when it has none: what every endpoint of an `IdempotentRoute` asks for."""


def is_asked_for(annotation: object) -> bool:
    """Whether a parameter annotated so is given the key."""
    return _GIVEN in getattr(annotation, "__metadata__", ())


async def keyed(request: Request, owner: str, key: str) -> Once:
    """What `owner` asks for under `key`, for the endpoint to find."""
    asked = (request.method.encode(), request.url.path.encode(), await request.body())
    return _found_by_endpoint(request, owner, key, hashlib.sha256(b"\0".join(asked)).digest())


def keyed_unread(request: Request, owner: str, key: str) -> Once:
    """The same of a body that only the endpoint reads, which says what it was asked: `of` is empty until then."""
    return _found_by_endpoint(request, owner, key, b"")


def _found_by_endpoint(request: Request, owner: str, key: str, of: bytes) -> Once:
    once = Once(hashlib.sha256(f"{owner}\0{key}".encode()).digest(), of)
    request.scope[_ONCE] = once
    return once


def tell_repetition(response: Response, once: Once) -> Response:
    """`response`, which says whether the effect was there already."""
    if once.is_repetition:
        response.headers[REPLAYED] = "true"
    return response
