"""Batch pipelines of prices: riders of a file or of policies, their histories, their quotes.

Belongs here: reading and joining tables, in Polars, and calling `monsoon.transforms.pricing`. Does not: how a premium
is computed.
"""
