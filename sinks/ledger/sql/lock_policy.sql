-- Until the transaction ends nobody else takes in events of this policy.
SELECT pg_advisory_xact_lock(hashtextextended(%(policy_id)s, 0))
