"""From a disruption and a rider present to a decision and its payouts.

Belongs here: candidates, tiers, holds and their timers, overlap, caps, top-ups, withdrawals, and the claim and payout
records. Does not: how a score is computed (`monsoon.transforms.scoring`), how a disruption is found
(`monsoon.transforms.triggers`).
"""
