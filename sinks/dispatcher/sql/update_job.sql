-- The lease ends with what it was taken for.
UPDATE dispatch.jobs
SET state = %(state)s, held_for = %(held_for)s, next_at_ms = %(next_at_ms)s, calls = %(calls)s,
    last_call_ms = %(last_call_ms)s, revision = %(revision)s,
    lease_until_ms = CASE WHEN %(keeps_lease)s THEN lease_until_ms ELSE 0 END
WHERE reference_id = %(reference_id)s
