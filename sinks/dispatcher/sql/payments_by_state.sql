SELECT state, count(*) AS payments FROM dispatch.jobs GROUP BY state
