"""The products, one YAML file each.

Belongs here: what a policy's wording would say, as data. Does not: code; a product that needs some asks for a new
rule in `monsoon.transforms` that every product file may then use.
"""
