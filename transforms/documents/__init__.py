"""Models of file formats: typed sections that define what a YAML or JSON document may hold.

Belongs here: the check of a document against its model, which reports every fault with its path, and the JSON Schema
that is generated from the model. Does not: the models themselves (beside whoever reads the format), nor the reading of
files.
"""

from monsoon.transforms.documents.check import faults_of as faults_of
from monsoon.transforms.documents.check import with_integers as with_integers
from monsoon.transforms.documents.faults import Fault as Fault
from monsoon.transforms.documents.faults import LineOf as LineOf
from monsoon.transforms.documents.faults import Path as Path
from monsoon.transforms.documents.faults import did_you_mean as did_you_mean
from monsoon.transforms.documents.faults import fault_lines as fault_lines
from monsoon.transforms.documents.faults import quoted as quoted
from monsoon.transforms.documents.json_schema import json_schema as json_schema
from monsoon.transforms.documents.section import OrUnset as OrUnset
from monsoon.transforms.documents.section import Section as Section
from monsoon.transforms.documents.section import about as about
from monsoon.transforms.documents.section import matching as matching
from monsoon.transforms.documents.section import non_empty as non_empty
from monsoon.transforms.documents.section import unique_items as unique_items
from monsoon.transforms.documents.section import value_or_none as value_or_none
