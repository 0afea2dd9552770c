SELECT
    job.reference_id, job.state, job.held_for, job.calls, job.last_call_ms, job.revision, instruction.claim_id,
    instruction.instalment, instruction.policy_id, instruction.worker_id, instruction.fund_account_id,
    instruction.amount_paise
FROM dispatch.jobs AS job
JOIN ledger.instructions AS instruction USING (reference_id)
WHERE job.reference_id = %(reference_id)s
FOR UPDATE OF job
