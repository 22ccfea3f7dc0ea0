"""Which of somebody's conversations are wanted: told by a script of Redis, so that no text leaves it to be looked at.

A conversation keeps the words of each of its messages and of its title as four bytes each, and has a word when these
four stand among them. Of some billion pairs of words one shares them: then a conversation too many is found.

Redis does nothing else while the script runs. So one call does a bounded piece of work, however much lies in a
conversation, and says where it stopped: within a conversation too, for the next call to go on from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.storage import Keys
from services.chat.words import asked_words

AT_ONCE: Final = 100
"""Conversations that one call of the script looks at, at most."""
_WORK_OF_A_CALL: Final = 2_000_000
"""Bytes held against a word: some milliseconds of Redis."""
_WORK_OF_A_SEARCH: Final = 200_000_000

# KEYS conversation and words of each candidate
# ARGV work at most, where to go on in the words of the first candidate ('0' at their beginning), agent_id or '',
#      number of tags, the tags, the words: of a candidate that is gone on with those that were not found as yet
# A candidate is wanted that is with the agent, has all tags, and has each word in some message or its title. Answers
# the places of those; how many were looked at to their end; where to go on in the next one, and the words it is to have
# yet; and the work that was done.
_SEARCH: Final = """#!lua flags=no-writes
local most, scan, tags_end = tonumber(ARGV[1]), ARGV[2], 4 + tonumber(ARGV[4])
local words, work, found = {unpack(ARGV, tags_end + 1)}, 0, {}
local function has(text, word)
  local at = string.find(text, word, 1, true)
  while at and at % 4 ~= 1 do at = string.find(text, word, at + 1, true) end
  return at
end
local function is_candidate(conversation)
  local stored = redis.call('HMGET', conversation, 'agent_id', 'tags')
  work = work + 1000 + #(stored[2] or '') * (tags_end - 4)
  if not stored[1] or (ARGV[3] ~= '' and stored[1] ~= ARGV[3]) then return false end
  for i = 5, tags_end do
    if not string.find(stored[2] or '', ARGV[i], 1, true) then return false end
  end
  return true
end
local function missing_in(text, left)
  local missing = {}
  work = work + (100 + #text) * #left
  for _, word in ipairs(left) do
    if not has(text, word) then missing[#missing + 1] = word end
  end
  return missing
end
local function look(key)
  local left = words
  while #left > 0 do
    local answer = redis.call('HSCAN', key, scan, 'COUNT', math.max(1, math.floor(64 / #left)))
    scan = answer[1]
    for i = 2, #answer[2], 2 do left = missing_in(answer[2][i], left) end
    if scan == '0' or work > most then break end
  end
  return left
end
for i = 1, #KEYS, 2 do
  if is_candidate(KEYS[i]) then
    local left = look(KEYS[i + 1])
    if #left == 0 then
      found[#found + 1] = (i - 1) / 2
    elseif scan ~= '0' then
      return {found, (i - 1) / 2, scan, left, work}
    end
  end
  scan = '0'
  if work > most then return {found, (i + 1) / 2, scan, {}, work} end
end
return {found, #KEYS / 2, scan, {}, work}
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
        self._script = redis.register_script(_SEARCH)

    def of(self, owner: Owner, wanted: Wanted) -> "Search":
        """One search, which does the work of one."""
        return Search(self._script, Keys(owner), wanted)


class Search:
    """One search through somebody's conversations, from the newest on."""

    def __init__(self, script: Any, keys: Keys, wanted: Wanted) -> None:
        self._script, self._keys = script, keys
        self._words = asked_words(wanted.words or "")
        self._is_all: Final = wanted.is_all
        self._is_vain: Final = bool(wanted.words) and not self._words  # its text has no letter or digit
        tags = [f"\0{tag}\0" for tag in wanted.metadata]
        self._filters: list[Any] = [wanted.agent_id or "", len(tags), *tags]
        self._work = 0

    async def among(self, conversation_ids: Sequence[str]) -> tuple[set[str], int]:
        """Those that are wanted, and how many were looked at: all, unless the search has done as much work as one may.

        A conversation that was begun is looked at to its end. A search for words without a letter or digit finds none.
        Raises what Redis' driver does.
        """
        if self._is_all or self._is_vain:
            return set() if self._is_vain else set(conversation_ids), len(conversation_ids)
        found, at = set[str](), 0
        while at < len(conversation_ids) and self._work < _WORK_OF_A_SEARCH:
            rest = conversation_ids[at:]
            places, looked_at, scan, left = await self._call(rest, b"0", self._words)
            found.update(rest[place] for place in places)
            at += looked_at
            while scan != b"0":
                one = conversation_ids[at : at + 1]
                places, looked_at, scan, left = await self._call(one, scan, left)
                found.update(one[place] for place in places)
                at += looked_at
        return found, at

    async def _call(
        self, ids: Sequence[str], scan: bytes, words: Sequence[bytes]
    ) -> tuple[list[int], int, bytes, list[bytes]]:
        names = [name for one in ids for name in (self._keys.conversation(one), self._keys.words(one))]
        arguments = [_WORK_OF_A_CALL, scan, *self._filters, *words]
        places, looked_at, scan, left, work = await self._script(keys=names, args=arguments)
        self._work += work
        return places, looked_at, scan, left
