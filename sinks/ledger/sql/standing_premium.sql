-- The premium of a period, as the last event that states it does.
SELECT premium_paise
FROM ledger.policy_terms
WHERE policy_id = %(policy_id)s AND coverage_start_ms = %(coverage_start_ms)s AND premium_paise IS NOT NULL
ORDER BY event_time_ms DESC, event_id DESC
LIMIT 1
