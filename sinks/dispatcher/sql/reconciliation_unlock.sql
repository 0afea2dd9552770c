SELECT pg_advisory_unlock(hashtextextended('monsoon reconciliation', 0))
