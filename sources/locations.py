"""Where things lie: folders and files of this machine, and what only looks like one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monsoon.sources.files import InputError

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)
"""Of which a path has lost a slash. One letter is a drive's."""


def require_local(options: Mapping[str, Any]) -> None:
    """Raises InputError where a path among the options is the address of a store: it would be taken for a folder here,
    read as empty or filled with what nobody looks for."""
    for value in options.values():
        for path in value if isinstance(value, list) else [value]:
            found = _URI.fullmatch(str(path)) if isinstance(path, Path) else None
            if found is None or path.exists():
                continue
            scheme, rest = found.groups()
            if scheme.lower() == "file":
                raise InputError("is an address, not a path", f"{scheme}:///{rest}", f"Give it as /{rest}")
            raise InputError(
                f"is an address of {scheme}, not a path of this machine",
                f"{scheme}://{rest}",
                "Mount it, or copy what is there to a folder, and give that",
            )
