"""The product: what a product file may say, as checked terms.

Belongs here: the grammar of product files and the terms that they become. Does not: reading files
(`monsoon.sources.product_files`), nor what the terms lead to (`monsoon.transforms.triggers`, `.adjudication`).
"""

from monsoon.transforms.product.parse import content_version as content_version
from monsoon.transforms.product.parse import parse_product as parse_product
from monsoon.transforms.product.quantities import duration_ms as duration_ms
from monsoon.transforms.product.terms import *  # noqa: F403
