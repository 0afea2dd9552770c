SELECT outbox_id, stream, key, record FROM dispatch.outbox
WHERE NOT published
ORDER BY outbox_id
LIMIT %(count)s
