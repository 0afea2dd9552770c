SELECT is_open, reason, at_ms FROM dispatch.breaker ORDER BY event_id DESC LIMIT 1
