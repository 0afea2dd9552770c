"""Strict validation: one rule for every engine and mode ("Validation" in the specification).

Belongs here: the contracts' fields as a table, the reference validator of one line, the pattern of lines that are
certainly valid in structure, canonical JSON, checks of a stream as a whole. Does not: reading files, data frames,
what a valid record means for a claim.
"""
