"""`monsoon` from the sources alone, for `./monsoon COMMAND --help` before anything is installed.

    python3.11 -I -B cli/uninstalled.py COMMAND --help

Works as far as Python's own library does, which is all that parsers and their words may import.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType


def main() -> int:
    """Gives the folders of the checkout the names that installing would give them, and hands over."""
    package = ModuleType("monsoon")
    package.__path__ = [str(Path(__file__).resolve().parent.parent)]
    sys.modules["monsoon"] = package
    from monsoon.cli.main import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
