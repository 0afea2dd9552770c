-- Also those of which there are none, so that what is gone goes back to nothing.
SELECT wanted.state, count(job.reference_id) AS payments
FROM unnest(ARRAY['held', 'failed', 'rejected', 'cancelled', 'reversed']) AS wanted (state)
LEFT JOIN dispatch.jobs AS job
    ON job.state = wanted.state AND job.state IN ('held', 'failed', 'rejected', 'cancelled', 'reversed')
GROUP BY wanted.state
