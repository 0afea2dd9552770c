"""Evidence: what a rider's reports say about one claim, each number with how many reports it rests on.

Belongs here: the features and their registry, windows, references by code. Does not: what a feature is worth
(scoring), rings, reading of files.
"""
