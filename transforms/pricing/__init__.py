"""Premiums: the terms of `premium` in product files, evaluated for many riders at once; and riders' histories.

Belongs here: pure functions on numpy columns and on records. Does not: the grammar of the terms
(`monsoon.transforms.product`), reading riders and writing quotes (`monsoon.pipelines.pricing`).
"""

from monsoon.transforms.pricing.quotes import Quotes as Quotes
from monsoon.transforms.pricing.quotes import quote as quote
