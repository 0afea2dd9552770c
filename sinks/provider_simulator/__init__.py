"""A payment provider for tests, benches and demonstrations, with the semantics that Razorpay documents of payouts.

Belongs here: its book, its misbehavior by a seeded script, its HTTP server, its webhooks; the standard library alone.
Does not: anything that pays; see `sinks/dispatcher`.
"""
