INSERT INTO dispatch.breaker (is_open, reason, at_ms) VALUES (%(is_open)s, %(reason)s, %(now_ms)s)
