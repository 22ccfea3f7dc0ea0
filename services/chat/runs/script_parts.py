"""What several scripts of runs have in common (`scripts.py`): local functions, which each of them takes in."""

from typing import Final

from services.chat.runs.log_scripts import END, LOG
from services.chat.runs.outbox_scripts import TELL

# A conversation is busy while a run is under way or lies in it, and while messages wait for their turn: nobody comes
# before them. And while what was begun last has not ended, though its lease ran out: a Redis that stood still has let
# it, and those who live take it again. `runs` is how the keys of its owner's runs begin.
IS_BUSY: Final = """
local function is_busy(conversation, lease, queue, runs)
  if redis.call('EXISTS', lease, queue) > 0 then return true end
  local last = redis.call('HGET', conversation, 'run')
  return last and redis.call('HGET', runs .. last, 'status') == 'running'
end
"""

# A conversation that has no agent yet, or no title, has those of its first turn from then on.
TURN_FIRST: Final = """
local function turn_first(conversation, words, agent_id, title, title_words)
  local known = redis.call('HMGET', conversation, 'agent_id', 'title')
  if known[1] == '' then redis.call('HSET', conversation, 'agent_id', agent_id) end
  if known[2] == '' then
    redis.call('HSET', conversation, 'title', title)
    redis.call('HSET', words, 'title', title_words)
  end
end
"""

# Adds to a day's usage, each of `used` a metric, its source and a number.
ADD: Final = """
local function add(usage, used, kept_seconds)
  local is_full = redis.call('HLEN', usage) > 5000
  for _, one in ipairs(used) do
    redis.call('HINCRBY', usage, one[1] .. '\\31' .. (is_full and '\\31\\31' or one[2]), one[3])
  end
  redis.call('EXPIRE', usage, kept_seconds)
end
"""

# Counts a run that no process ends: what its process has noted since it went on last; what it used until it
# was laid down was added then. A process that comes back all the same finds it counted.
COUNT_LEFT: Final = f"""{ADD}
local function count_left(state, run, usage, counted, guarded_seconds, kept_seconds)
  local noted = redis.call('HGET', run, 'used')
  local used = noted and cjson.decode(noted) or {{redis.call('HGET', run, 'source'), {{}}}}
  if used[1] and redis.call('SET', counted, state, 'NX', 'EX', guarded_seconds) then
    table.insert(used[2], {{state, used[1], '1'}})
    add(usage, used[2], kept_seconds)
    redis.call('HSET', run, 'is_counted', '1')
  end
end
"""

# Before a run is deleted: what is noted of it and not counted lies on for a while, as of one that is cancelled now, for
# those who count that where its process is gone (`counting.py`).
KEEP_NOTES: Final = """
local function keep_notes(run, now_ms, seconds)
  local noted = redis.call('HMGET', run, 'created_at', 'used', 'source', 'is_counted')
  if not noted[1] or noted[4] or not (noted[2] or noted[3]) then return end
  local left = run .. ':left'
  redis.call('HSET', left, 'status', 'cancelled', 'finished_at', now_ms, 'created_at', noted[1])
  if noted[2] then redis.call('HSET', left, 'used', noted[2]) end
  if noted[3] then redis.call('HSET', left, 'source', noted[3]) end
  redis.call('EXPIRE', left, seconds)
end
"""

# Whether a run has been without its lease for so many looks: then the milliseconds of now by Redis' clock, else nil.
# A Redis that stood still lets the leases of runs that live run out. So one look proves nothing, however late it comes:
# a lease is missed several times, and looks that waited together for Redis to go on are one. Between them whoever
# lives takes its lease again, which begins the count anew (`leases.py`).
IS_MISSED: Final = """
local function is_missed(run, times, apart_ms)
  local time = redis.call('TIME')
  local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  local apart = now_ms - (tonumber(redis.call('HGET', run, 'missed_at')) or 0)
  if apart >= 0 and apart < tonumber(apart_ms) then return nil end
  redis.call('HSET', run, 'missed_at', string.format('%d', now_ms))
  return redis.call('HINCRBY', run, 'missed', 1) >= tonumber(times) and now_ms or nil
end
"""

# A run that went on with its last decision, and whose process then told nothing, has done nothing: it lies as it lay.
# Told so once more, it has an event that a process which is only slow knows nothing of. It lies only where its
# conversation is still its own: another that answers there meanwhile keeps the lease, and this one has ended. It is
# taken in after END_RUN, whose functions it uses. Answers the event's number. How often a call was decided on in vain
# stays with the run.
LIE_AGAIN: Final = """
local function lies_again(lease, run, events, conversation, run_id, now_ms)
  local is_own = (redis.call('HGET', conversation, 'run') or run_id) == run_id
  if redis.call('EXISTS', lease) == 1 or not is_own then return false end
  local went_on = redis.call('HMGET', run, 'last_call', 'since', 'waits_until', 'waiting')
  local told = tonumber(string.match(redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1][1], '^%d+'))
  if not went_on[1] or told ~= tonumber(went_on[2]) or now_ms >= tonumber(went_on[3]) then return false end
  redis.call('XADD', events, (told + 1) .. '-0', 'e', 'run.waiting', 'd', went_on[4])
  log_count(log_of(run), log_size({'run.waiting', went_on[4]}))
  redis.call('HSET', run, 'status', 'requires_action', 'inbox', '', 'undecided', 1, 'call:' .. went_on[1], '')
  redis.call('HDEL', run, 'last_call', 'claim', 'missed', 'missed_at')
  redis.call('HINCRBY', run, 'again:' .. went_on[1], 1)
  redis.call('SET', lease, run_id, 'PX', tonumber(went_on[3]) - now_ms)
  return told + 1
end
"""

# Ends a run with what it tells last: types and data in turn, of which the last pair is its outcome. An event may be
# there of which its writer never heard so: the last ones come after it, and under no number below `least`. What the run
# held while it waited goes with its end. `first` is the first KEYS of the outbox.
END_RUN: Final = (
    TELL
    + LOG
    + f"""
local function end_size(log, told)
  return log_size(told) + #told[#told] - log_held(log) - {END}
end
local function end_run(run, events, status, now_ms, told, first, least)
  local log, outcome = log_of(run), told[#told]
  log_count(log, end_size(log, told))
  local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1][1]
  local number = math.max(tonumber(string.match(last, '^%d+')) + 1, tonumber(least or 0))
  for i = 1, #told, 2 do
    redis.call('XADD', events, number .. '-0', 'e', told[i], 'd', told[i + 1])
    number = number + 1
  end
  redis.call('HSET', run, 'status', status, 'finished_at', now_ms, 'outcome', outcome)
  redis.call('HDEL', run, 'question', 'waiting', 'loop')
  tell(first, run, told[#told - 1], number - 1, outcome)
end
"""
)
