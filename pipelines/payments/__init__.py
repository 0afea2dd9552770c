"""The dispatcher of payments as a service: what topics tell goes into the ledger, what became of it comes back.

Belongs here: reading and writing the topics, and the threads of one instance. Needs the extra `money`. Does not: what
is booked (`sinks/ledger`), who is called (`sinks/dispatcher`), what is decided (`transforms/payments.py`).
"""
