"""Wiring: which source feeds which transform and which sink takes the result.

Belongs here: the engines, and nothing they could differ in. Does not: a rule; what decides lives in
`monsoon.transforms`, so that every engine decides alike.
"""
