-- Jobs that are due, leased to one instance; those that another is at are passed over.
WITH due AS MATERIALIZED (
    SELECT reference_id FROM dispatch.jobs
    WHERE next_at_ms <= %(now_ms)s AND lease_until_ms <= %(now_ms)s
    ORDER BY next_at_ms
    LIMIT %(count)s
    FOR UPDATE SKIP LOCKED
)
UPDATE dispatch.jobs AS job
SET lease_owner = %(owner)s, lease_until_ms = %(now_ms)s + %(lease_ms)s
FROM due
JOIN ledger.instructions AS instruction USING (reference_id)
WHERE job.reference_id = due.reference_id
RETURNING
    job.reference_id, job.state, job.held_for, job.released, job.calls, job.last_call_ms, job.revision, instruction.claim_id,
    instruction.instalment, instruction.policy_id, instruction.worker_id, instruction.fund_account_id,
    instruction.amount_paise, instruction.local_day
