UPDATE dispatch.outbox SET published = true WHERE outbox_id = ANY (%(ids)s)
