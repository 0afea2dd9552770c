INSERT INTO dispatch.jobs (reference_id, next_at_ms) VALUES (%(reference_id)s, %(now_ms)s)
