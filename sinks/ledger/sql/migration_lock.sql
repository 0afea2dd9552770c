-- Of this database, until the connection ends.
SELECT pg_advisory_lock(hashtextextended('monsoon migrations', 0))
