"""Telemetry conditions of triggers, measured in a zone at a moment: silent quorum and order drop.

Belongs here: the measures of these conditions, as integers that add up over any partition of the riders. Does not: when
a trigger queries them (monsoon.transforms.triggers), what a claim is paid (monsoon.transforms.adjudication).
"""
