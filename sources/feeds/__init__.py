"""A provider's raw feed into oracle readings of the contract.

Belongs here: lines of a provider's file, its clock, area and units as its provider file names them, accounting for
every row. Does not: formulas (`monsoon.transforms.atmosphere`), or writing the result (`monsoon.sinks`).
"""
