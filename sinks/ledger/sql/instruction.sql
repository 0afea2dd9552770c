SELECT reference_id, claim_id, instalment, policy_id, worker_id, fund_account_id, amount_paise, created_at_ms
FROM ledger.instructions
WHERE reference_id = %(reference_id)s OR (claim_id = %(claim_id)s AND instalment = %(instalment)s)
ORDER BY reference_id = %(reference_id)s DESC
LIMIT 1
