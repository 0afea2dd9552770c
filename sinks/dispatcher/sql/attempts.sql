SELECT
    attempt.reference_id, attempt.attempt, attempt.key, attempt.body, attempt.intended_at_ms,
    array_remove(array_agg(observation.status), NULL) AS statuses, max(observation.provider_id) AS provider_id
FROM dispatch.attempts AS attempt
LEFT JOIN dispatch.observations AS observation USING (key)
WHERE attempt.reference_id = ANY (%(references)s)
GROUP BY attempt.reference_id, attempt.attempt
ORDER BY attempt.reference_id, attempt.attempt
