INSERT INTO dispatch.outbox (stream, key, record) VALUES (%(stream)s, %(key)s, %(record)s)
