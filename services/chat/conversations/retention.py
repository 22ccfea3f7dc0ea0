"""Applies the times of retention to conversations that are there already, and gives back what has expired.

Each write has a conversation kept for as long as its tenant has it then. Where an operator says another time, the
others follow by a look at all of them, which begins when a replica starts with it, and once a day. It is made in small
steps, each by any replica: how far it has come lies in Redis, and a step that is made twice does no harm.
"""

import hashlib
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from redis.asyncio import Redis

from services.chat.bounds import Bounds
from services.chat.domain import Owner
from services.chat.keeping import KEEPING, kept_keys
from services.chat.storage import RETENTION, Keys
from services.chat.times import now, to_ms
from shared.loops import in_background, keep
from shared.redis import redis_errors

_log = logging.getLogger("chat.conversations")
_EVERY_SECONDS: Final = 1.0
_AGAIN_MS: Final = 86_400_000
_NAMES_AT_ONCE: Final = 5_000
_AT_ONCE: Final = 200
_OWNER: Final = re.compile(r"chat:\{([^:{}]+):([^:{}]+)\}:conversations")

# KEYS conversations, the count of what is kept
# ARGV now_ms, retention_ms, user_id, how many of the newest were looked at, number to look at
# From the newest to the oldest, since one that becomes active meanwhile moves to the front: it is looked at twice, and
# none is missed. It only frees, so it runs in a Redis that is full. Answers how many were old, and how many were looked
# at.
_KEEP: Final = (
    "#!lua flags=allow-oom"
    + KEEPING
    + """
local count, first, number = {KEYS[2], KEYS[3], KEYS[4], ARGV[3]}, tonumber(ARGV[4]), tonumber(ARGV[5])
local old = forget_old(count, KEYS[1], ARGV[1] - ARGV[2])
local found = redis.call('ZRANGE', KEYS[1], first, first + number - 1, 'REV', 'WITHSCORES')
for i = 1, #found, 2 do
  local name, until_ms = string.sub(KEYS[1], 1, -2) .. ':' .. found[i], found[i + 1] + ARGV[2]
  for _, part in ipairs(parts) do redis.call('PEXPIREAT', name .. part, until_ms) end
  if first == 0 and i == 1 then
    redis.call('PEXPIREAT', KEYS[1], until_ms)
    if redis.call('EXISTS', KEYS[2]) == 1 then keep(count, found[i], 0, until_ms) end
  end
end
return {old, #found / 2}
"""
)


class Retention:
    """Looks at all conversations, a step at a time. Raises Unavailable naming `redis` when it does not answer."""

    def __init__(self, redis: Redis, bounds: Bounds) -> None:
        self._redis, self._bounds, self._keep = redis, bounds, redis.register_script(_KEEP)
        times = [bounds.retention_ms, sorted(bounds.retention_ms_by_tenant.items())]
        self._digest = hashlib.sha256(orjson.dumps(times)).hexdigest()

    async def run(self) -> None:
        """Never returns."""
        await keep(self.step, log=_log, every_seconds=_EVERY_SECONDS)

    async def step(self) -> None:
        """Look at some thousand keys, if not all were looked at within a day."""
        with redis_errors():
            of, cursor, done_ms = await self._redis.hmget(RETENTION, ["of", "cursor", "done_at"])
            is_ours = of == self._digest.encode()
            if is_ours and int(done_ms or 0) > to_ms(now()) - _AGAIN_MS:
                return
            scan: Any = self._redis.scan(int(cursor or 0) if is_ours else 0, "chat:{*}:conversations", _NAMES_AT_ONCE)
            reached, names = await scan
            for name in names:
                if found := _OWNER.fullmatch(name.decode()):
                    await self._apply(Owner(found[1], found[2]))
            state: dict[Any, Any] = {"of": self._digest, "cursor": reached, "done_at": 0 if reached else to_ms(now())}
            await self._redis.hset(RETENTION, mapping=state)

    async def _apply(self, owner: Owner) -> None:
        """To all conversations of one user."""
        names, at = [Keys(owner).conversations, *kept_keys(owner)], 0
        while True:
            arguments: list[Any] = [to_ms(now()), self._bounds.retention_of(owner), owner.user_id, at, _AT_ONCE]
            old, looked_at = await self._keep(keys=names, args=arguments)
            at += looked_at
            if not old and looked_at < _AT_ONCE:
                return


@asynccontextmanager
async def open_retention(redis: Redis, bounds: Bounds) -> AsyncIterator[None]:
    """Have conversations looked at as long as the block runs."""
    async with in_background(Retention(redis, bounds).run()):
        yield
