"""The product: the terms of a product file, typed and checked, and their wording in plain English.

Belongs here: the grammar of product files, the terms that they become, their wording. Does not: reading files
(`monsoon.sources.product_files`), nor what the terms lead to (`monsoon.transforms.triggers`, `.adjudication`).
"""

from monsoon.transforms.documents import did_you_mean as did_you_mean
from monsoon.transforms.product.parse import content_version as content_version
from monsoon.transforms.product.parse import parse_product as parse_product
from monsoon.transforms.product.quantities import duration_ms as duration_ms
from monsoon.transforms.product.terms import *  # noqa: F403
from monsoon.transforms.product.versions import chain_versions as chain_versions
