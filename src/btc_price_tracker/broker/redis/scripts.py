"""What Redis does in one step, in its own Lua.

Ids of entries are `<tick id>-0` for ticks and `<id of the tick before>-<n>` for updates without one, so the two
streams have one order.
"""

# The highest id that a stream ever held, also if it was deleted or trimmed; 0-0 for a stream that isn't there.
_LAST_ID = """
local function last_id(stream)
  if redis.call('EXISTS', stream) == 0 then return '0-0' end
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end
"""

# Take the lease if it is free. The number of the term exceeds `floor`, in case Redis has lost its memory.
# A lease that never expires isn't ours. → {number, highest id of a tick} or {0, ms until the lease expires}
CAMPAIGN = (
    _LAST_ID
    + """
local lease, term, ticks = KEYS[1], KEYS[2], KEYS[3]
local owner, duration, floor = ARGV[1], ARGV[2], tonumber(ARGV[3])
local left = redis.call('PTTL', lease)
if left > 0 then return {0, left} end
local last = last_id(ticks)
local number = redis.call('INCR', term)
if number <= floor then
  number = floor + 1
  redis.call('SET', term, number)
end
redis.call('SET', lease, owner .. ':' .. number, 'PX', duration)
return {number, last}
"""
)

# → 1, or 0 if the lease is lost
RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

# Delete the lease and wake one candidate.
RESIGN = """
local lease, handover = KEYS[1], KEYS[2]
if redis.call('GET', lease) ~= ARGV[1] then return end
redis.call('DEL', lease, handover)
redis.call('RPUSH', handover, '1')
redis.call('PEXPIRE', handover, ARGV[2])
"""

# Append a tick. → 1, also if this term did so already; 0 if the lease is lost; -1 if the stream holds a higher id
PUBLISH_TICK = """
local lease, ticks = KEYS[1], KEYS[2]
local token, id, body, count, oldest = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('GET', lease) ~= token then return 0 end
local added = redis.pcall('XADD', ticks, 'MAXLEN', '~', count, id, 'update', body, 'token', token)
if not added.err then
  redis.call('XTRIM', ticks, 'MINID', '~', oldest)
  return 1
end
if not string.find(added.err, 'equal or smaller', 1, true) then return added end
local held = redis.call('XRANGE', ticks, id, id)
if #held == 1 and held[1][2][3] == 'token' and held[1][2][4] == token then return 1 end
return -1
"""

# Append an update without a tick, behind the newest tick. → 1, or 0 if the lease is lost
PUBLISH_STATUS = (
    _LAST_ID
    + """
local lease, ticks, statuses = KEYS[1], KEYS[2], KEYS[3]
local token, body, count = ARGV[1], ARGV[2], ARGV[3]
if redis.call('GET', lease) ~= token then return 0 end
local tick = string.match(last_id(ticks), '%d+')
local newest, number = string.match(last_id(statuses), '(%d+)-(%d+)')
local id = tick .. '-1'
if tonumber(newest) >= tonumber(tick) then id = newest .. '-' .. string.format('%.0f', number + 1) end
redis.call('XADD', statuses, 'MAXLEN', count, id, 'update', body)
return 1
"""
)
