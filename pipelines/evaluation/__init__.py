"""`monsoon evaluate`: simulated storms that no model was trained on, replayed with riders who answer, and measured.

Belongs here: which scenarios there are, playing them on the local engine, gathering what `monsoon.models.evaluation`
counts. Does not: a measure or its target, or how a result is shown.
"""
