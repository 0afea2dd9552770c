"""What riders' own telemetry says of their work: the activity test of a claim, the week so far.

Belongs here: columns of orders and reports, counts of peers, the findings made from them. Does not: what a finding
leads to (`monsoon.transforms.adjudication`), features of the scores (`monsoon.transforms.evidence`).
"""
