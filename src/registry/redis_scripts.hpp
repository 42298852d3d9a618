// The publisher's writes, as Lua: each is whole, and none is done for a publisher that is not the
// one. Values of another kind that somebody put under our keys are overwritten. KEYS: publisher (a hash), then what is named.
#pragma once

namespace gatehouse::registry::scripts {

// KEYS lease. ARGV token, registry, node, lease's milliseconds, "1" to take over from a lease of the
// same registry. {1, epoch} or {0, epoch, node of the holder}.
inline constexpr const char* claim = R"(
local p = redis.call('HMGET', KEYS[1], 'epoch', 'registry', 'node', 'token')
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] and not (ARGV[5] == '1' and p[2] == ARGV[2]) then
  return {0, p[1] or '0', p[3] or ''}
end
if p[4] == ARGV[1] then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4])
  return {1, p[1]}
end
local now = redis.call('TIME')
local epoch = math.max((tonumber(p[1]) or 0) + 1, now[1] * 1000 + math.floor(now[2] / 1000))
epoch = string.format('%.0f', epoch)
redis.call('HSET', KEYS[1], 'epoch', epoch, 'registry', ARGV[2], 'node', ARGV[3], 'token', ARGV[1], 'complete', '0')
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4])
return {1, epoch}
)";

// KEYS lease. ARGV token, lease's milliseconds. {1} or {0, node of the holder}.
inline constexpr const char* renew = R"(
local p = redis.call('HMGET', KEYS[1], 'token', 'node')
if p[1] ~= ARGV[1] then return {0, p[2] or ''} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {1}
)";

// KEYS changes, the tenant. ARGV token, prefix, id, document or "" to remove it, epoch, revision,
// hosts. Hosts it had before are given up where they are still its own.
inline constexpr const char* put_tenant = R"(
local function get(k)
  local v = redis.pcall('GET', k)
  if type(v) == 'table' then return false end
  return v
end
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return redis.error_reply('FENCED') end
local old = {}
local before = get(KEYS[3])
if before then
  local ok, d = pcall(cjson.decode, before)
  if ok and type(d) == 'table' and type(d.signed) == 'table' and type(d.signed.hosts) == 'table' then
    for _, h in ipairs(d.signed.hosts) do old[h] = true end
  end
end
local add, drop = {}, {}
for h in string.gmatch(ARGV[7], '%S+') do
  old[h] = nil
  add[#add + 1] = h
  redis.call('SET', ARGV[2] .. ':host:' .. h, ARGV[3])
end
for h in pairs(old) do
  local key = ARGV[2] .. ':host:' .. h
  if get(key) == ARGV[3] then
    redis.call('DEL', key)
    drop[#drop + 1] = h
  end
end
local op = 'upsert'
if ARGV[4] == '' then
  op = 'remove'
  redis.call('DEL', KEYS[3])
else
  redis.call('SET', KEYS[3], ARGV[4])
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', '20000', '*', 'op', op, 'id', ARGV[3], 'epoch', ARGV[5],
  'revision', ARGV[6], 'add', table.concat(add, ' '), 'drop', table.concat(drop, ' '))
return 1
)";

// KEYS changes, the document. ARGV token, op, id, document or "" to remove it, epoch, revision.
inline constexpr const char* put_document = R"(
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return redis.error_reply('FENCED') end
if ARGV[4] == '' then
  redis.call('DEL', KEYS[3])
else
  redis.call('SET', KEYS[3], ARGV[4])
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', '20000', '*', 'op', ARGV[2], 'id', ARGV[3], 'epoch', ARGV[5],
  'revision', ARGV[6])
return 1
)";

// KEYS changes, a host. ARGV token, host, the tenant it is wrongly given to.
inline constexpr const char* drop_host = R"(
local function get(k)
  local v = redis.pcall('GET', k)
  if type(v) == 'table' then return false end
  return v
end
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return redis.error_reply('FENCED') end
if get(KEYS[3]) ~= ARGV[3] then return 0 end
redis.call('DEL', KEYS[3])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', '20000', '*', 'op', 'host', 'id', ARGV[3], 'drop', ARGV[2])
return 1
)";

// KEYS changes. ARGV token, epoch, revision. From now on what is not there does not exist.
inline constexpr const char* complete = R"(
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return redis.error_reply('FENCED') end
redis.call('HSET', KEYS[1], 'complete', '1', 'revision', ARGV[3])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', '20000', '*', 'op', 'complete', 'epoch', ARGV[2], 'revision', ARGV[3])
return 1
)";

}  // namespace gatehouse::registry::scripts
