"""The report of an output: one HTML file with a map in time, the funnel of claims, money and what was held, and why.

Belongs here: what the page shows, as data, and the page that shows it. Does not: tables (`monsoon.workbench.output`).
"""
