-- The provider's payouts of some instructions, with when the first call for each was intended.
SELECT DISTINCT observation.provider_id, attempt.reference_id, attempt.intended_at_ms
FROM dispatch.attempts AS attempt
JOIN dispatch.observations AS observation USING (key)
WHERE attempt.reference_id = ANY (%(references)s)
