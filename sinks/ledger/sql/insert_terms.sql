INSERT INTO ledger.policy_terms
    (policy_id, event_id, event_time_ms, coverage_start_ms, product, cell, premium_paise)
VALUES (
    %(policy_id)s, %(event_id)s, %(event_time_ms)s, %(coverage_start_ms)s, %(product)s, %(cell)s, %(premium_paise)s
)
ON CONFLICT (policy_id, event_id) DO NOTHING
