INSERT INTO dispatch.anomalies (digest, kind, reference_id, detail, seen_at_ms)
VALUES (%(digest)s, %(kind)s, %(reference_id)s, %(detail)s, %(now_ms)s)
ON CONFLICT (digest) DO NOTHING
