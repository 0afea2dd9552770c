-- The database's clock is the one of all instances.
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
