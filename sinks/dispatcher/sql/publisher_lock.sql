-- Of this database, until the end of the transaction.
SELECT pg_try_advisory_xact_lock(hashtextextended('monsoon publisher', 0)) AS is_mine
