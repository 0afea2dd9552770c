"""Simulated storm-years: years are drawn, the storms in them replayed by Apache Beam, and the results reckoned up.

Belongs here: the book of policies, drawing, replays as elements of a Beam pipeline, their files, the results' tables.
Does not: actuarial arithmetic (monsoon.transforms.season) or what a storm is like (monsoon.sources.simulator). Only
`fan_out.py` imports Beam, in a process of its own.
"""
