"""Messages of conversations, read some at a time: no more of them, and no more bytes, than is wanted at once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.storage import Keys

MESSAGES_AT_ONCE: Final = 64
BYTES_AT_ONCE: Final = 2**20
"""After which no more are read at once: a message may be of some MiB, with its citations."""
BYTES_OF_A_PAGE: Final = 4 * 2**20
"""After which a page that is shown ends."""

# KEYS messages, conversation;  ARGV command, where to begin and to end, messages at most, bytes after which no more are
#      read
# Answers when the conversation was active last, or '', whether more follow, the messages as the command has them, and
# how many there are in all.
_READ: Final = """#!lua flags=no-writes
local active = redis.call('HGET', KEYS[2], 'last_activity_at') or ''
local found, start, left = {}, ARGV[2], tonumber(ARGV[5])
repeat
  local entries = redis.call(ARGV[1], KEYS[1], start, ARGV[3], 'COUNT', 4)
  for _, entry in ipairs(entries) do
    if left <= 0 or #found >= tonumber(ARGV[4]) then return {active, 1, found, redis.call('XLEN', KEYS[1])} end
    table.insert(found, entry)
    left = left - #entry[2][2]
  end
  if #entries > 0 then start = '(' .. entries[#entries][1] end
until #entries < 4
return {active, 0, found, redis.call('XLEN', KEYS[1])}
"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Messages as they are stored, each with its place, and of a conversation that was active then."""

    entries: list[tuple[str, bytes]]
    has_more: bool
    active_ms: int | None
    """None where there is no conversation."""
    total: int = 0
    """How many it has in all."""


class Stretches:
    """Every method raises what Redis' driver does."""

    def __init__(self, redis: Redis) -> None:
        self._read = redis.register_script(_READ)

    async def read(
        self,
        owner: Owner,
        conversation_id: str,
        after: str | None = None,
        *,
        first: str = "-",
        last: str = "+",
        newest_first: bool = False,
        most: int = MESSAGES_AT_ONCE,
        most_bytes: int = BYTES_AT_ONCE,
    ) -> Stretch:
        """Up to `most` messages between the places `first` and `last`, those `after` a place; at least one, if any."""
        keys = Keys(owner)
        command, begin, end = ("XREVRANGE", last, first) if newest_first else ("XRANGE", first, last)
        active, has_more, entries, total = await self._read(
            keys=[keys.messages(conversation_id), keys.conversation(conversation_id)],
            args=[command, f"({after}" if after else begin, end, most, most_bytes],
        )
        found = [(place.decode(), fields[1]) for place, fields in entries]
        return Stretch(found, bool(has_more), int(active) if active else None, total)

    async def read_all(
        self,
        owner: Owner,
        conversation_id: str,
        *,
        first: str = "-",
        last: str = "+",
        most: int = MESSAGES_AT_ONCE,
    ) -> AsyncIterator[list[tuple[str, bytes]]]:
        """All between these places, oldest first, up to `most` at a time."""
        after: str | None = None
        while True:
            stretch = await self.read(owner, conversation_id, after, first=first, last=last, most=most)
            if stretch.entries:
                yield stretch.entries
                after = stretch.entries[-1][0]
            if not stretch.has_more:
                return
