"""Where records come from: input folders read into validated columns, and the storm simulator.

Belongs here: finding and reading files, the columnar fast path beside the reference validator, accounting for every
line. Does not: the rules of validation (`monsoon.transforms.validation`), or any decision about a claim.
"""
