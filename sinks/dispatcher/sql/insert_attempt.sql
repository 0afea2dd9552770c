INSERT INTO dispatch.attempts (reference_id, attempt, key, body, intended_at_ms, version)
VALUES (%(reference_id)s, %(attempt)s, %(key)s, %(body)s, %(now_ms)s, %(version)s)
