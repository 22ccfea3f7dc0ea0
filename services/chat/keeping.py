"""How much conversations hold, counted by the scripts that write and delete them: of each user, and of their tenant.

Messages count, with their citations and the words they are found by, as they lie in Redis, and metadata, with what
they are found by. What expires is given back when its owner next writes, by the next look at all conversations
(`conversations/retention.py`), or, where nothing of a user is left, when anybody of the tenant writes. What was written
before there was a count is not counted.

A tenant's count lies in another slot than its users' keys: this too needs a Redis that is no cluster.

    chat:{tenant:user}:kept         hash, conversation id to bytes, and `bytes`, the sum
    chat:{tenant}:kept              hash, user id to bytes, and `bytes`, the sum
    chat:{tenant}:kept:until        sorted set, user id by when all of theirs will have expired in ms
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.errors import ConversationNotFound, KeptTooMuch
from services.chat.storage import KEPT_PARTS
from shared.errors import ServiceError
from shared.redis import redis_errors

_ANY: Final = 2**53 - 1  # what Lua still counts exactly

# `count` is {keys of the above, and the user's id}; times are in ms. What is old is forgotten up to a thousand at once,
# and its keys with it: they may have been made when it was to be kept for longer. A user's count expires with the last
# of their conversations, and what the tenant's still holds of them then is given back before anything is added to it.
# Whoever writes into a conversation asks first whether it is old: it may be forgotten in the same breath.
KEEPING: Final = (
    f"""
local parts = {{{", ".join(f"'{part}'" for part in KEPT_PARTS)}}}
"""
    + """
local function give_back(count, user)
  redis.call('HINCRBY', count[2], 'bytes', -tonumber(redis.call('HGET', count[2], user) or 0))
  redis.call('HDEL', count[2], user)
end
local function keep(count, id, bytes, until_ms)
  if until_ms and redis.call('EXISTS', count[1]) == 0 then give_back(count, count[4]) end
  redis.call('HINCRBY', count[1], id, bytes)
  redis.call('HINCRBY', count[1], 'bytes', bytes)
  redis.call('HINCRBY', count[2], count[4], bytes)
  redis.call('HINCRBY', count[2], 'bytes', bytes)
  if until_ms then
    redis.call('PEXPIREAT', count[1], until_ms)
    redis.call('ZADD', count[3], until_ms, count[4])
    redis.call('PEXPIREAT', count[2], until_ms, redis.call('PTTL', count[2]) < 0 and 'NX' or 'GT')
    redis.call('PEXPIREAT', count[3], until_ms, redis.call('PTTL', count[3]) < 0 and 'NX' or 'GT')
  end
end
local function forget(count, id, most)
  local bytes = tonumber(redis.call('HGET', count[1], id) or 0)
  if bytes > 0 then keep(count, id, -math.min(bytes, most or bytes)) end
  if most then return end
  redis.call('HDEL', count[1], id)
  if redis.call('HLEN', count[1]) <= 1 then
    redis.call('DEL', count[1])
    give_back(count, count[4])
    redis.call('ZREM', count[3], count[4])
  end
end
local function told_beside(metadata, tags)
  return (not metadata or metadata == '{}') and 0 or #metadata + #tags
end
local function is_old(conversations, id, before_ms)
  return tonumber(redis.call('ZSCORE', conversations, id) or before_ms) < before_ms
end
local function forget_old(count, conversations, before_ms)
  local old = redis.call('ZRANGEBYSCORE', conversations, '-inf', '(' .. before_ms, 'LIMIT', 0, 1000)
  for _, id in ipairs(old) do
    local name = string.sub(conversations, 1, -2) .. ':' .. id
    for _, part in ipairs(parts) do redis.call('UNLINK', name .. part) end
    forget(count, id)
    redis.call('ZREM', conversations, id)
  end
  return #old
end
local function forget_users(count, now_ms)
  local gone = redis.call('ZRANGEBYSCORE', count[3], '-inf', now_ms - 60000, 'LIMIT', 0, 1000)
  for _, user in ipairs(gone) do
    give_back(count, user)
    redis.call('ZREM', count[3], user)
  end
  return #gone
end
local function refusal(count, more, most, most_of_tenant, conversations, before_ms, now_ms)
  local function over(key, limit) return tonumber(redis.call('HGET', key, 'bytes') or 0) + more > tonumber(limit) end
  local function is_refused() return over(count[1], most) or over(count[2], most_of_tenant) end
  if not is_refused() then return nil end
  if redis.call('EXISTS', count[1]) == 0 then give_back(count, count[4]) end
  for _ = 1, 10 do
    local given_back = forget_old(count, conversations, before_ms) + forget_users(count, now_ms)
    if not is_refused() then return nil end
    if given_back == 0 then break end
  end
  if over(count[1], most) then return 'kept_too_much' end
  return over(count[2], most_of_tenant) and 'tenant_kept_too_much' or nil
end
"""
)

# KEYS the count;  ARGV user_id, conversation_id
# For what a transaction deletes in the same breath. It takes no memory, so it runs where there is none: else nobody
# could delete anything once Redis is full.
FORGET: Final = (
    "#!lua flags=allow-oom" + KEEPING + "\nforget({KEYS[1], KEYS[2], KEYS[3], ARGV[1]}, ARGV[2])\nreturn 1\n"
)

KEPT_REFUSALS: Final[dict[str, Callable[[], ServiceError]]] = {
    "missing": ConversationNotFound,
    "kept_too_much": KeptTooMuch,
    "tenant_kept_too_much": partial(KeptTooMuch, of_tenant=True),
}
"""By what scripts answer that write what is kept."""


@dataclass(frozen=True, slots=True)
class KeptLimits:
    """Bytes at most, None for as many as one likes."""

    user: int | None = None
    tenant: int | None = None

    @property
    def arguments(self) -> list[Any]:
        """For scripts: of a user, of a tenant."""
        return [_ANY if limit is None else limit for limit in (self.user, self.tenant)]


def kept_keys(owner: Owner) -> list[str]:
    """The keys of a count, in the order in which scripts know them."""
    tenant = f"chat:{{{owner.tenant_id}}}:kept"
    return [f"chat:{{{owner.tenant_id}:{owner.user_id}}}:kept", tenant, f"{tenant}:until"]


async def kept_bytes(redis: Redis, owner: Owner, *, of_tenant: bool) -> int:
    """What the user's conversations hold, or all of the tenant's. Raises Unavailable."""
    own, tenant, _ = kept_keys(owner)
    with redis_errors():
        found: Any = await redis.hget(tenant if of_tenant else own, "bytes")
    return int(found or 0)
