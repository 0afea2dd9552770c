INSERT INTO dispatch.observations (key, status, provider_id, source, seen_at_ms)
VALUES (%(key)s, %(status)s, %(provider_id)s, %(source)s, %(now_ms)s)
ON CONFLICT (key, status) DO NOTHING
