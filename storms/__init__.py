"""Historical storms, one YAML file each: which figures are published, by whom, and which are modeled.

Belongs here: data. Does not: code; `monsoon.sources.simulator` reads these files.
"""
