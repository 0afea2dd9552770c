-- With its entry. No row where the instruction is there already, or another one of its instalment.
WITH instruction AS (
    INSERT INTO ledger.instructions (
        reference_id, claim_id, instalment, policy_id, worker_id, fund_account_id, amount_paise, created_at_ms,
        local_day
    )
    VALUES (
        %(reference_id)s, %(claim_id)s, %(instalment)s, %(policy_id)s, %(worker_id)s, %(fund_account_id)s,
        %(amount_paise)s, %(created_at_ms)s, %(local_day)s
    )
    ON CONFLICT DO NOTHING
    RETURNING reference_id, amount_paise, created_at_ms
), entry AS (
    INSERT INTO ledger.entries (entry_key, kind, reference_id, event_time_ms)
    SELECT 'instructed/' || reference_id, 'instructed', reference_id, created_at_ms FROM instruction
    RETURNING entry_id
)
INSERT INTO ledger.postings (entry_id, line, account, amount_paise)
SELECT entry_id, line, account, sign * amount_paise
FROM entry, instruction, (VALUES (1, 'claims_incurred', 1), (2, 'claims_payable', -1)) AS posting (line, account, sign)
RETURNING entry_id
