SELECT product FROM ledger.policy_terms WHERE policy_id = %(policy_id)s ORDER BY event_time_ms DESC LIMIT 1
