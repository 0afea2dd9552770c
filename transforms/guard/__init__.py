"""The guard: contradictions about a rider's location, which count for every product before its own rules.

Belongs here: from measured features to signals, from signals to a verdict, and what releases a verification. Does not:
the features (`monsoon.transforms.evidence`), the ring graph, holds and their timers.
"""
