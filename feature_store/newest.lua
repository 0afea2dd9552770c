-- Stores packed versions of features, each unless a newer one is there: KEYS are its keys, ARGV the time to live (ms)
-- and the versions. A version begins with its event time and when it was received, two big-endian doubles. Of equal
-- times the greater bytes stand, so that no order of writes makes a difference. Returns how many were stored.
local stored = 0
for place = 1, #KEYS do
    local new = ARGV[place + 1]
    local old = redis.call('GET', KEYS[place])
    local newer = not old
    if old and old ~= new then
        local new_event, new_received = struct.unpack('>dd', new)
        local old_event, old_received = struct.unpack('>dd', old)
        if new_event ~= old_event then
            newer = new_event > old_event
        elseif new_received ~= old_received then
            newer = new_received > old_received
        else
            local byte = 17
            while string.byte(new, byte) == string.byte(old, byte) do
                byte = byte + 1
            end
            newer = (string.byte(new, byte) or -1) > (string.byte(old, byte) or -1)
        end
    end
    if newer then
        redis.call('SET', KEYS[place], new, 'PX', ARGV[1])
        stored = stored + 1
    end
end
return stored
