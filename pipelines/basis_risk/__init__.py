"""`monsoon basis-risk`: what riders lost beside what a product paid them, and other observations tried on one input.

Belongs here: riders with their loss, payment, zone and station as a table; the table of measures; variants of an input
on the local engine. Does not: a measure (monsoon.transforms.basis_risk), or how a table is shown.
"""
