// What Redis does for shares, as Lua, on Redis' own clock; limit::share_bank is the same as values.
// Every key ends by itself.
#pragma once

namespace gatehouse::fleet::scripts {

// KEYS nodes (a sorted set by time), since. ARGV node, latest time to be done (0: any), present and
// counted for, ms. {now, since, nodes, present}; {now, 0, 0, 0}: too late, not done. A clock that was set back begins `since`
// anew: nothing would be gained until it has caught up.
inline constexpr const char* pulse = R"(
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if ARGV[2] ~= '0' and now > tonumber(ARGV[2]) then return {now, 0, 0, 0} end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
local since = tonumber(redis.call('GET', KEYS[2]))
if not since or since > now or not last[2] or tonumber(last[2]) < now - ARGV[3] then since = now end
redis.call('SET', KEYS[2], string.format('%.0f', since), 'PX', 60000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - ARGV[4]))
redis.call('PEXPIRE', KEYS[1], 60000)
local present = redis.call('ZCOUNT', KEYS[1], string.format('%.0f', now - ARGV[3]), '+inf')
return {now, since, redis.call('ZCARD', KEYS[1]), present}
)";

// KEYS since, then buckets. ARGV latest time to be done, then of each bucket tokens wanted, gained a
// second, capacity. {now, granted, ...}; {now}: too late, not done.
inline constexpr const char* ask = R"(
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local out = {now}
if now > tonumber(ARGV[1]) then return out end
local since = tonumber(redis.call('GET', KEYS[1])) or now
for i = 2, #KEYS do
  local want, gain, capacity = tonumber(ARGV[3 * i - 4]), tonumber(ARGV[3 * i - 3]), tonumber(ARGV[3 * i - 2])
  local level, at = 0, since
  local found = redis.call('GET', KEYS[i])
  if found then
    local l, a = string.match(found, '^(%S+) (%S+)$')
    level, at = tonumber(l) or 0, tonumber(a) or since
  end
  at = math.max(at, since)
  level = math.min(capacity, level + gain * math.max(0, now - at) / 1000)
  local granted = math.min(want, math.floor(level))
  level = level - granted
  local full = math.min(math.ceil((capacity - level) / gain * 1000), 1e11)
  redis.call('SET', KEYS[i], string.format('%.17g %.0f', level, now), 'PX', string.format('%.0f', full + 1000))
  out[i] = granted
end
return out
)";

// KEYS changes (a sorted set), epoch, then one hash a row. ARGV node, ms to keep, then of each row
// "TENANT HOUR" and the node's counts. Counts with a lower sum than those there are older: left out.
// All changes of one call have one score, which is above every other. The epoch.
inline constexpr const char* usage_put = R"(
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local epoch = redis.call('GET', KEYS[2]) or string.format('%.0f', now)
redis.call('SET', KEYS[2], epoch, 'PX', ARGV[2])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
local score = string.format('%.0f', math.max(now, (tonumber(last[2]) or 0) + 1))
for i = 3, #KEYS do
  local change, counts = ARGV[2 * i - 3], ARGV[2 * i - 2]
  local old = redis.call('HGET', KEYS[i], ARGV[1])
  if not old or tonumber(string.match(old, '^%d+')) < tonumber(string.match(counts, '^%d+')) then
    redis.call('HSET', KEYS[i], ARGV[1], counts)
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
    redis.call('ZADD', KEYS[1], score, change)
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return epoch
)";

// KEYS changes, epoch. ARGV the last score known, how many changes about, beginning of the hashes'
// keys. {} or {epoch, last score, change, fields and values, change, ...}: those of one score together.
inline constexpr const char* usage_take = R"(
local some = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local epoch = redis.call('GET', KEYS[2])
if not epoch then return {} end
local last = some[#some] or ARGV[1]
local out = {epoch, last}
for _, change in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], last)) do
  out[#out + 1] = change
  out[#out + 1] = redis.call('HGETALL', ARGV[3] .. string.gsub(change, ' ', ':'))
end
return out
)";

// KEYS epoch, then one hash an account. ARGV node, ms to keep the epoch, then of each account route,
// the node's count and when the hash ends, Unix seconds. A count never falls: an older one may come
// late. {epoch, what other nodes have together, ...}.
inline constexpr const char* quota_sync = R"(
local t = redis.call('TIME')
local epoch = redis.call('GET', KEYS[1]) or string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
redis.call('SET', KEYS[1], epoch, 'PX', ARGV[2])
local out = {epoch}
for i = 2, #KEYS do
  local route, count, ends = ARGV[3 * i - 3], tonumber(ARGV[3 * i - 2]), ARGV[3 * i - 1]
  local mine, others = ARGV[1] .. route, 0
  local fields = redis.call('HGETALL', KEYS[i])
  for f = 1, #fields, 2 do
    local of = string.match(fields[f], '/.*$') or ''
    if fields[f] == mine then
      count = math.max(count, tonumber(fields[f + 1]))
    elseif of == route then
      others = others + tonumber(fields[f + 1])
    end
  end
  redis.call('HSET', KEYS[i], mine, string.format('%.0f', count))
  redis.call('EXPIREAT', KEYS[i], ends)
  out[i] = others
end
return out
)";

// KEYS hashes. Fields and values of each.
inline constexpr const char* usage_read = R"(
local out = {}
for i = 1, #KEYS do out[i] = redis.call('HGETALL', KEYS[i]) end
return out
)";

// KEYS holds (a hash by tenant: "END TEXT"), hold-nodes (a sorted set by time). ARGV node, beginning of the keys of
// words, then token and word, ... {text, ms left, ...} of every order that is not over.
inline constexpr const char* holds_look = R"(
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - 60000))
redis.call('PEXPIRE', KEYS[2], 120000)
for i = 3, #ARGV, 2 do
  redis.call('HSET', ARGV[2] .. ARGV[i], ARGV[1], ARGV[i + 1])
  redis.call('PEXPIRE', ARGV[2] .. ARGV[i], 600000)
end
local out, all = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local ends, text = string.match(all[i + 1], '^(%d+) (.*)$')
  if ends and tonumber(ends) > now then
    out[#out + 1] = text
    out[#out + 1] = string.format('%.0f', tonumber(ends) - now)
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return out
)";

// KEYS holds, hold-nodes, nodes (the pulse's), words of the token. ARGV node, tenant, token, ms left (0: nothing is
// ordered), text, ms that a node lives, latest time to be done. {now, node, ms silent or -1, word, ...} of the others; an
// error: too late, or another node's order stands. An earlier one of the same node is dead.
inline constexpr const char* holds_give = R"(
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if ARGV[4] ~= '0' then
  if now > tonumber(ARGV[7]) then return redis.error_reply('LATE') end
  local ends, node = string.match(redis.call('HGET', KEYS[1], ARGV[2]) or '', '^(%d+) .* (%S+)$')
  if ends and tonumber(ends) > now and node ~= ARGV[1] then return redis.error_reply('HELD by another node') end
  redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f', now + ARGV[4]) .. ' ' .. ARGV[5])
  redis.call('PEXPIRE', KEYS[1], 3600000)
end
local out, seen = {now}, {[ARGV[1]] = true}
local function add(node, silent)
  if seen[node] then return end
  seen[node] = true
  out[#out + 1] = node
  out[#out + 1] = silent
  out[#out + 1] = redis.call('HGET', KEYS[4], node) or ''
end
local known = redis.call('ZRANGEBYSCORE', KEYS[2], string.format('%.0f', now - ARGV[6]), '+inf', 'WITHSCORES')
for i = 1, #known, 2 do add(known[i], math.max(0, now - tonumber(known[i + 1]))) end
for _, node in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do add(node, -1) end
return out
)";

// KEYS holds. ARGV tenant, token.
inline constexpr const char* holds_take_back = R"(
local token = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^%d+ (%S+)')
if token == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
)";

}  // namespace gatehouse::fleet::scripts
