"""Strict validation: one rule for every engine and mode ("Validation" in the specification).

Belongs here: the contracts' fields as a table, the reference judge of one line, what makes a line certainly
clean, canonical JSON. Does not: reading files, data frames, what a valid record means for a claim.
"""
