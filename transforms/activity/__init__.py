"""Riders' work by their own telemetry: the activity test of a claim, and the week to date for supplements.

Belongs here: columns of orders and reports, counts of peers, the activity results made from them. Does not: what a
result leads to (`monsoon.transforms.adjudication`), features of the scores (`monsoon.transforms.evidence`).
"""
