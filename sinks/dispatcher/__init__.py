"""Pays what the ledger owes, through a payment provider: intent before each call, outcome after it.

Belongs here: the provider's interface, what is kept of each payment, webhooks, reconciliation. What to do next is
decided in `transforms/payments.py`. Needs the extra `money`. Does not: reading and writing topics; see
`pipelines/payments`.
"""
