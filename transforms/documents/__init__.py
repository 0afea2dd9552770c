"""Models of file formats: typed sections that say what a YAML or JSON document may hold.

Belongs here: the one check of a document against its model, which tells every fault at its place, and the JSON Schema
that is made of the model. Does not: the models themselves (beside whoever reads the format), nor the reading of files.
"""

from monsoon.transforms.documents.check import faults_of as faults_of
from monsoon.transforms.documents.check import settled as settled
from monsoon.transforms.documents.faults import Fault as Fault
from monsoon.transforms.documents.faults import LineOf as LineOf
from monsoon.transforms.documents.faults import Path as Path
from monsoon.transforms.documents.faults import did_you_mean as did_you_mean
from monsoon.transforms.documents.faults import quoted as quoted
from monsoon.transforms.documents.faults import told as told
from monsoon.transforms.documents.json_schema import json_schema as json_schema
from monsoon.transforms.documents.section import OrLeftOut as OrLeftOut
from monsoon.transforms.documents.section import Section as Section
from monsoon.transforms.documents.section import about as about
from monsoon.transforms.documents.section import given as given
from monsoon.transforms.documents.section import some as some
from monsoon.transforms.documents.section import text_like as text_like
from monsoon.transforms.documents.section import unique as unique
