"""Actuarial arithmetic on simulated storm-years: exceedance, reinsurance layers, premiums, reserves.

Belongs here: pure functions on columns of occurrences (one loss of one storm in one year) and on totals of years, in
paise. Does not: drawing years, replaying storms, or files; those are `monsoon.pipelines.season`.
"""
