"""The analyst's workbench: a finished output folder as tables, the difference of two outputs, pages to look at.

Belongs here: what reads and shows records that are written, and what notebooks need. Does not: any engine, any
decision, arguments of a command.
"""

from monsoon.workbench.columns import Column
from monsoon.workbench.commands import CommandError, run
from monsoon.workbench.output import Output, load

__all__ = ["Column", "CommandError", "Output", "load", "run"]
