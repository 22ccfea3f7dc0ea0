"""What the logs of runs hold, counted by the scripts that write them: local functions, which each of them takes in.

The log of a run is its hash and its stream. What it holds is counted with what it is made of beside, and with room for
its end, which therefore always has a place. The names of the counts follow from that of the run: what a script ends or
writes it can count (`logs.py`).
"""

from typing import Final

OF_A_RUN: Final = 2_048
"""About what Redis needs for a run that has told nothing: its hash, its stream, its places in sets and counts."""
OF_AN_EVENT: Final = 32
END: Final = 16_384
"""Kept free for the end of each run that has not ended; a longer one has to find room."""
_JUST_NOW_MS: Final = 60_000  # whoever follows a run, or asks again, hears its end all the same
_AT_ONCE: Final = 1_000

# `log` is the log of one run. What has expired by itself is taken off by whoever begins a run in its tenant, some at
# once, and by whoever finds no room: who then takes the oldest logs of runs that have ended, one's own, and the
# tenant's where that is at its bound. A run that an earlier release began is not counted, then or later.
LOG: Final = f"""
local function log_of(run)
  local tenant, user, id = string.match(run, '^chat:{{(.-):(.-)}}:run:(.+)$')
  local all = 'chat:{{' .. tenant .. '}}:logs'
  return {{run = run, tenant = tenant, user = user, name = user .. ':' .. id, bytes = all, ends = all .. ':until',
    own = 'chat:{{' .. tenant .. ':' .. user .. '}}:logs'}}
end
local function log_now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function log_size(told)
  local size = 0
  for i = 1, #told, 2 do size = size + #told[i] + #told[i + 1] + {OF_AN_EVENT} end
  return size
end
local function log_held(log)
  local size = 0
  for _, field in ipairs({{'question', 'waiting', 'loop'}}) do
    size = size + redis.call('HSTRLEN', log.run, field)
  end
  return size
end
local function log_count(log, more)
  if redis.call('HEXISTS', log.bytes, log.name) == 0 then return end
  for _, field in ipairs({{log.name, log.user, 'bytes'}}) do redis.call('HINCRBY', log.bytes, field, more) end
end
local function log_keep(log, seconds)
  local until_ms = log_now() + seconds * 1000
  for _, set in ipairs({{log.ends, log.own}}) do redis.call('ZADD', set, 'GT', until_ms, log.name) end
  for _, key in ipairs({{log.bytes, log.ends, log.own}}) do
    redis.call('PEXPIREAT', key, until_ms, redis.call('PTTL', key) < 0 and 'NX' or 'GT')
  end
end
local function log_begin(log, seconds, more)
  redis.call('HSETNX', log.bytes, log.name, 0)
  log_count(log, more + {OF_A_RUN + END})
  log_keep(log, seconds)
end
local function log_forget(log, name)
  local user, bytes = string.match(name, '^(.-):'), tonumber(redis.call('HGET', log.bytes, name) or 0)
  redis.call('HINCRBY', log.bytes, 'bytes', -bytes)
  if redis.call('HINCRBY', log.bytes, user, -bytes) <= 0 then redis.call('HDEL', log.bytes, user) end
  redis.call('HDEL', log.bytes, name)
  redis.call('ZREM', log.ends, name)
  redis.call('ZREM', 'chat:{{' .. log.tenant .. ':' .. user .. '}}:logs', name)
end
local function log_forget_expired(log)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', log.ends, '-inf', log_now(), 'LIMIT', 0, 50)) do
    log_forget(log, name)
  end
end
local function log_make_room(log, set, is_over)
  local now_ms, found = log_now(), redis.call('ZRANGE', set, 0, {_AT_ONCE - 1}, 'WITHSCORES')
  for i = 1, #found, 2 do
    if not is_over() then return end
    local user, id = string.match(found[i], '^(.-):(.+)$')
    local root = 'chat:{{' .. log.tenant .. ':' .. user .. '}}:'
    local run = root .. 'run:' .. id
    local kept = redis.call('HMGET', run, 'status', 'finished_at', 'conversation_id')
    if not kept[1] or tonumber(found[i + 1]) <= now_ms
      or kept[2] and tonumber(kept[2]) + {_JUST_NOW_MS} <= now_ms then
      redis.call('UNLINK', run, run .. ':events')
      if kept[3] then redis.call('SREM', root .. 'conversation:' .. kept[3] .. ':runs', id) end
      log_forget(log, found[i])
    end
  end
end
local function log_refusal(log, more, of_run, of_user, of_tenant)
  local held = redis.call('HMGET', log.bytes, log.name, log.user, 'bytes')
  if tonumber(held[1] or 0) + more > of_run + {OF_A_RUN + END} then return 'run_too_long' end
  local function over(field, limit)
    return function() return tonumber(redis.call('HGET', log.bytes, field) or 0) + more > tonumber(limit) end
  end
  if tonumber(held[2] or 0) + more > tonumber(of_user) then
    log_make_room(log, log.own, over(log.user, of_user))
    if over(log.user, of_user)() then return 'runs_kept_too_much' end
  end
  if tonumber(held[3] or 0) + more > tonumber(of_tenant) then
    log_make_room(log, log.ends, over('bytes', of_tenant))
    if over('bytes', of_tenant)() then return 'tenant_runs_kept_too_much' end
  end
end
local function log_begin_refusal(log, told, of_run, of_user, of_tenant)
  log_forget_expired(log)
  return log_refusal(log, told + {OF_A_RUN + END}, of_run, of_user, of_tenant)
end
"""

# KEYS run, events;  ARGV number, type and data of the event, bytes of a run, a user and a tenant at most
# Stores an event under its number. Answers `ok`; `gone` with the conversation; `old` where there is one of that number,
# or a later one; or for what reason there is no room.
APPEND: Final = (
    "#!lua"
    + LOG
    + """
local log, more = log_of(KEYS[1]), log_size({ARGV[2], ARGV[3]})
local refused = log_refusal(log, more, ARGV[4], ARGV[5], ARGV[6])
if refused then return refused end
local stored = redis.pcall('XADD', KEYS[2], 'NOMKSTREAM', ARGV[1] .. '-0', 'e', ARGV[2], 'd', ARGV[3])
if not stored then return 'gone' end
if type(stored) == 'table' and stored.err then
  return string.find(stored.err, 'equal or smaller', 1, true) and 'old' or stored
end
log_count(log, more)
return 'ok'
"""
)

# KEYS runs
# For what a transaction deletes in the same breath, in a Redis that is full too.
FORGET_LOGS: Final = (
    "#!lua flags=allow-oom"
    + LOG
    + """
for _, run in ipairs(KEYS) do
  local log = log_of(run)
  if redis.call('HEXISTS', log.bytes, log.name) == 1 then log_forget(log, log.name) end
end
return 1
"""
)
