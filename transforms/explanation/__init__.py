"""One claim explained from its records, to an analyst who has never seen the project: data in, lines of text out.

Belongs here: what the records of one claim say, in words. Does not: reading files, and deciding anything anew; what
the records do not state is called missing, never guessed.
"""

from monsoon.transforms.explanation.claim import explain_claim as explain_claim
from monsoon.transforms.explanation.records import ClaimRecords as ClaimRecords
from monsoon.transforms.explanation.text import laid_out as laid_out
