"""What is kept under an `Idempotency-Key`, so that a repetition is answered as the first was."""

from typing import Any

import orjson
from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.storage import Keys
from shared.door import Once
from shared.redis import redis_errors


def kept_once(once: Once | None, **made: Any) -> bytes:
    """What is kept of what was made; empty without a key."""
    return orjson.dumps({"of": once.of.hex(), **made}) if once else b""


async def made_before(redis: Redis, owner: Owner, once: Once) -> dict[str, Any] | None:
    """What the same request has made. Raises IdempotencyKeyReused for another request's key, Unavailable."""
    with redis_errors():
        stored: Any = await redis.get(Keys(owner).once(once.digest))
    if stored is None:
        return None
    members: dict[str, Any] = orjson.loads(stored)
    once.found(bytes.fromhex(members["of"]))
    return members
