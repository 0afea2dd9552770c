"""A command of `monsoon`, called from a notebook as it would be typed."""

from __future__ import annotations

import shlex
import subprocess
import sys


class CommandError(Exception):
    """A command that failed; the message is what it printed to standard error."""


def run(command: str) -> None:
    """Runs `monsoon COMMAND` in the working directory and prints what it prints, such as
    `run("replay --input delhi --output delhi-out")`.

    The process is one of this Python, so nothing has to be on PATH. Raises CommandError with the command's errors where
    it fails, so that a notebook stops there; a command's warnings are printed after its output.
    """
    done = subprocess.run(
        [sys.executable, "-m", "monsoon.cli.main", *shlex.split(command)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    print(done.stdout, end="")
    if done.returncode:
        raise CommandError(done.stderr.strip() or f"monsoon {command} ended with {done.returncode}")
    print(done.stderr, end="")
