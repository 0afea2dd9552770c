"""From oracle readings to disruptions: which zones a reading covers, which providers confirm, when a disruption is
open.

Belongs here: the rules of "How a trigger is evaluated" for one zone series, and the grouping of zones into series.
Does not: who is paid for a disruption (`monsoon.transforms.adjudication`).
"""
