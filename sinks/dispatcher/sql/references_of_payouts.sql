SELECT DISTINCT observation.provider_id, attempt.reference_id
FROM dispatch.observations AS observation
JOIN dispatch.attempts AS attempt USING (key)
WHERE observation.provider_id = ANY (%(provider_ids)s)
