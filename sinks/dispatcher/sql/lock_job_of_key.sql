SELECT
    job.reference_id, job.state, job.held_for, job.calls, job.last_call_ms, job.revision, instruction.claim_id,
    instruction.instalment, instruction.policy_id, instruction.worker_id, instruction.fund_account_id,
    instruction.amount_paise,
    EXISTS (
        SELECT FROM dispatch.observations WHERE provider_id = %(provider_id)s AND key <> %(key)s
    ) AS is_payout_of_another
FROM dispatch.jobs AS job
JOIN ledger.instructions AS instruction USING (reference_id)
WHERE job.reference_id = (SELECT reference_id FROM dispatch.attempts WHERE key = %(key)s)
FOR UPDATE OF job
