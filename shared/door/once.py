"""What a request with an `Idempotency-Key` carries to the place where its effect is stored.

The answer of a keyed request is remembered in Redis, but between the effect and that memory a process may die, or a
commit may take place behind an answer of 503. So whoever has the effect stores the key with it, in the same transaction
where the store has any, and a repetition finds there what the first request made.
"""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

_ONCE = "sutazai.once"


@dataclass(slots=True)
class Once:
    """One keyed request. A repetition has an equal one."""

    digest: bytes
    """Of the owner, the operation and the key: 32 bytes."""
    of: bytes
    """Of the request: 32 bytes. Another body under the same key has another one."""
    is_repetition: bool = field(default=False, compare=False)
    """Set by whoever found the effect there already; the answer then says so."""


async def _once(request: Request) -> Once | None:
    found: Once | None = request.scope.get(_ONCE)
    return found


Keyed = Annotated[Once | None, Depends(_once)]
"""The key of this request, None when it has none: for the endpoints of an `IdempotentRoute`."""


def remember(request: Request, once: Once) -> None:
    """Have the endpoint find it."""
    request.scope[_ONCE] = once
