"""The insurer's book in PostgreSQL, by double entry: premiums in, payouts out, reserves, reversals.

Belongs here: its schema (`migrations/`, plain SQL, which holds the rules), its queries (`sql/`), and the functions that
write entries. Needs the extra `money`. Does not: who calls the payment provider, and when; see `sinks/dispatcher`.
"""
