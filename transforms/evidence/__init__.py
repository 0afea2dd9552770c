"""Evidence: the features of a claim, measured from telemetry, each with the number of reports it rests on.

Belongs here: the features and their registry, windows, references by code. Does not: the scores made of features
(`monsoon.transforms.scoring`), syndicates, reading of files.
"""
