"""Which of somebody's conversations are wanted: told by a script of Redis, so that no text leaves it to be looked at.

A conversation keeps the words of each of its messages and of its title as four bytes each, and has a word when these
four stand among them. Of some billion pairs of words one shares them: then a conversation too many is found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.storage import Keys
from services.chat.words import asked_words

AT_ONCE: Final = 100
"""Conversations that one call of the script looks at: some milliseconds, for which Redis does nothing else."""

# KEYS conversation and words of each candidate
# ARGV agent_id or '', number of tags, the tags, the words
# Answers the places of those that are with the agent, have all tags and have all words.
_SEARCH: Final = """#!lua flags=no-writes
local tags_end = 2 + tonumber(ARGV[2])
local function has(text, word)
  local at = string.find(text, word, 1, true)
  while at and at % 4 ~= 1 do at = string.find(text, word, at + 1, true) end
  return at
end
local function is_wanted(conversation, words)
  local stored = redis.call('HMGET', conversation, 'agent_id', 'tags')
  if not stored[1] or (ARGV[1] ~= '' and stored[1] ~= ARGV[1]) then return false end
  for i = 3, tags_end do
    if not string.find(stored[2] or '', ARGV[i], 1, true) then return false end
  end
  if tags_end == #ARGV then return true end
  local text = table.concat(redis.call('HVALS', words))
  for i = tags_end + 1, #ARGV do
    if not has(text, ARGV[i]) then return false end
  end
  return true
end
local found = {}
for i = 1, #KEYS, 2 do
  if is_wanted(KEYS[i], KEYS[i + 1]) then found[#found + 1] = (i - 1) / 2 end
end
return found
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What conversations are to be: each of it, where it is given."""

    agent_id: str | None = None
    metadata: Sequence[str] = ()
    """`key=value` each."""
    words: str | None = None

    @property
    def is_all(self) -> bool:
        return not (self.agent_id or self.metadata or self.words)

    @property
    def scope(self) -> list[Any]:
        """What a cursor of such a list is bound to."""
        return [self.agent_id, sorted(self.metadata), self.words]


class ConversationSearch:
    """Tells which conversations are wanted."""

    def __init__(self, redis: Redis) -> None:
        self._search = redis.register_script(_SEARCH)

    async def among(self, owner: Owner, conversation_ids: Sequence[str], wanted: Wanted) -> set[str]:
        """Those of at most AT_ONCE that are `wanted`; none when it asks for words and its text has no letter or digit.

        Raises what Redis' driver does.
        """
        keys, words = Keys(owner), asked_words(wanted.words or "")
        if not conversation_ids or (wanted.words and not words):
            return set()
        names = [name for one in conversation_ids for name in (keys.conversation(one), keys.words(one))]
        arguments: list[Any] = [wanted.agent_id or "", len(wanted.metadata)]
        tags = [f"\0{tag}\0" for tag in wanted.metadata]
        found: list[int] = await self._search(keys=names, args=[*arguments, *tags, *words])
        return {conversation_ids[at] for at in found}
