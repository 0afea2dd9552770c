-- The keys of payouts that an instance has written down to make, and of which it has not heard.
SELECT attempt.key
FROM dispatch.jobs AS job
JOIN dispatch.attempts AS attempt USING (reference_id)
LEFT JOIN dispatch.observations AS observation USING (key)
WHERE job.lease_owner = %(owner)s AND job.lease_until_ms > %(now_ms)s AND observation.key IS NULL
ORDER BY attempt.key
