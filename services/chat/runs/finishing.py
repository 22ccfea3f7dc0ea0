"""How a run ends in the process that executes it: the script FINISH, and what it is given."""

from collections.abc import Sequence
from typing import Any, Final

from services.chat.bounds import Bounds
from services.chat.domain import Message, Turn
from services.chat.keeping import KEEPING, kept_keys
from services.chat.runs.beginning import title_of
from services.chat.runs.events import Event
from services.chat.runs.outbox import OUTBOX_KEYS
from services.chat.runs.script_parts import ADD, END_RUN, TURN_FIRST
from services.chat.storage import Keys, message_bytes
from services.chat.times import now, to_ms
from services.chat.usage.counts import GUARDED_SECONDS, KEPT_SECONDS, counted_key, counts_of, day_of, usage_key
from services.chat.usage.meter import current_meter
from services.chat.words import kept_words

# KEYS conversation, messages, lease, conversations, run, events, usage, counted, words, the count of what is kept, then
#      those of the outbox
# ARGV run_id, conversation_id, now_ms, retention_ms, status, number of messages, number of the first event, what it
#      used up, kept_seconds of `counted`, kept_seconds of `usage`, since, user_id, bytes at most of the logs of a run,
#      a user and a tenant, title (or ''), its words, then of each message itself, its id and its words, then type and
#      data of each event
# Ends a run once: stores what was said and the last events, and frees the conversation. Answers the run's status, or
# for what reason its log has no room for the answer, and then it goes on.
# What it used up is counted once, whoever ended it: of one that was cancelled only its process knows that.
# A process that laid it down and never heard so ends nothing once others have gone on: they have another `since`.
_FINISH: Final = (
    ADD
    + END_RUN
    + KEEPING
    + TURN_FIRST
    + """
local told, events_at = {}, 18 + 3 * ARGV[6]
for i = events_at, #ARGV do table.insert(told, ARGV[i]) end
local function count(state)
  if redis.call('HEXISTS', KEYS[5], 'is_counted') == 1 then return end
  if not redis.call('SET', KEYS[8], state, 'NX', 'EX', ARGV[9]) then return end
  local used = cjson.decode(ARGV[8])
  table.insert(used[2], {state, used[1], '1'})
  add(KEYS[7], used[2], ARGV[10])
  redis.call('HDEL', KEYS[5], 'used', 'source')
end
local status = redis.call('HGET', KEYS[5], 'status')
if status and (redis.call('HGET', KEYS[5], 'since') or '0') ~= ARGV[11] then return status end
if status ~= 'running' and status ~= 'requires_action' then count(status or 'cancelled') end
if not status then return 'gone' end
if status ~= 'running' then return status end
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
if ARGV[5] == 'completed' then
  local log = log_of(KEYS[5])
  local refused = log_refusal(log, end_size(log, told), ARGV[13], ARGV[14], ARGV[15])
  if refused then return refused end
end
count(ARGV[5])
for i = 18, events_at - 1, 3 do
  redis.call('XADD', KEYS[2], '*', 'm', ARGV[i])
  redis.call('HSET', KEYS[9], ARGV[i + 1], ARGV[i + 2])
  keep({KEYS[10], KEYS[11], KEYS[12], ARGV[12]}, ARGV[2], #ARGV[i] + #ARGV[i + 2], ARGV[3] + ARGV[4])
end
if events_at > 18 then
  if ARGV[16] ~= '' then turn_first(KEYS[1], KEYS[9], '', ARGV[16], ARGV[17]) end
  redis.call('HINCRBY', KEYS[1], 'message_count', ARGV[6])
  redis.call('HINCRBY', KEYS[1], 'version', 1)
  redis.call('HSET', KEYS[1], 'last_activity_at', ARGV[3])
  redis.call('ZADD', KEYS[4], ARGV[3], ARGV[2])
  for _, key in ipairs({KEYS[1], KEYS[2], KEYS[4], KEYS[9]}) do redis.call('PEXPIRE', key, ARGV[4]) end
end
end_run(KEYS[5], KEYS[6], ARGV[5], ARGV[3], told, 13, ARGV[7])
if redis.call('GET', KEYS[3]) == ARGV[1] then redis.call('DEL', KEYS[3]) end
return ARGV[5]
"""
)
FINISH: Final = "#!lua" + _FINISH
# The same for one that fails, with no message, in a Redis that is full too: it takes what was kept free for its end.
FAIL: Final = "#!lua flags=allow-oom" + _FINISH


def finish_keys(turn: Turn) -> list[str]:
    """KEYS of FINISH; a run of no conversation stands where that would."""
    keys = Keys(turn.owner)
    return [
        keys.run(turn.run_id) if turn.is_alone else keys.conversation(turn.conversation_id),
        keys.messages(turn.conversation_id),
        keys.lease(turn.conversation_id),
        keys.conversations,
        keys.run(turn.run_id),
        keys.events(turn.run_id),
        usage_key(turn.owner, day_of(turn)),
        counted_key(turn.owner, turn.run_id),
        keys.words(turn.conversation_id),
        *kept_keys(turn.owner),
        *OUTBOX_KEYS,
    ]


async def finish_arguments(
    turn: Turn, status: str, events: Sequence[Event], messages: Sequence[Message], bounds: Bounds
) -> list[Any]:
    """ARGV of FINISH. A conversation that has no title is given that of the first question among the messages."""
    title = next((title_of(one.content) for one in messages if one.role == "user"), "")
    stored = [[message_bytes(one), one.id, await kept_words(one.content)] for one in messages]
    return [
        turn.run_id,
        turn.conversation_id,
        to_ms(now()),
        bounds.retention_of(turn.owner),
        status,
        len(stored),
        events[0].number,
        counts_of(turn, current_meter()),
        GUARDED_SECONDS,
        KEPT_SECONDS,
        turn.since,
        turn.owner.user_id,
        *bounds.logs.arguments,
        title,
        await kept_words(title),
        *[part for one in stored for part in one],
        *[part for event in events for part in (event.type, event.data)],
    ]
