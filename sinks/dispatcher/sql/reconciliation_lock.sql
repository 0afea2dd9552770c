-- Of this database, until it is given back or the connection ends.
SELECT pg_try_advisory_lock(hashtextextended('monsoon reconciliation', 0)) AS is_mine
