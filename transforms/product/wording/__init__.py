"""A product in plain English, trigger by trigger, as a rider's policy wording would have it.

Belongs here: words made from checked terms, so that they cannot say anything else than what is decided. Does not: words
about one claim (`monsoon.transforms.plain_words`).
"""

from monsoon.transforms.product.wording.phrases import Section as Section
from monsoon.transforms.product.wording.policy import policy_wording as policy_wording
