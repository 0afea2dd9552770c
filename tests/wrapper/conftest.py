"""A checkout with the real wrapper and a Python that pretends: quick set-ups, faults on demand."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TOOLS = [
    "awk",
    "cat",
    "date",
    "df",
    "env",
    "grep",
    "mkdir",
    "mv",
    "readlink",
    "rm",
    "sed",
    "sh",
]
"""All that the wrapper may call, and every Unix has."""
PRETENDING = ["chmod", "cp", "sleep"]

# Answers what the wrapper asks of an interpreter. `-m venv` makes an environment whose python is this script
# again; `-m pip install` does what FAKE_PIP says. Every venv and pip install is noted in the file FAKE_CALLS.
FAKE_PYTHON = """\
#!/bin/sh
case "$*" in
    *python_version*) echo "${FAKE_VERSION:-CPython 3.11.9}" ;;
    *fcntl*) exec "@PYTHON@" "$@" ;;
    *uninstalled.py*) exec "@BARE@" -S "$@" ;;
    *ensurepip*) exit "${FAKE_NO_VENV:-0}" ;;
    "-m venv "*)
        echo venv >>"$FAKE_CALLS"
        [ "${FAKE_VENV:-}" != broken ] || { echo "no space for a venv"; exit 1; }
        mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip --version") ;;
    "-m pip install "*)
        echo "pip $*" >>"$FAKE_CALLS"
        env | grep '^PIP_' >"$FAKE_CALLS.env"
        while [ "$1" != --log ]; do shift; done
        case "${FAKE_PIP:-}" in
            no-network) echo "time NewConnectionError: no route" >>"$2"; exit 1 ;;
            disk-full) echo "time Installing collected packages: a" >>"$2"
                echo "time ERROR: [Errno 28] No space left on device" >>"$2"; exit 1 ;;
            conflict) echo "time ERROR: No matching distribution found for a" >>"$2"; exit 1 ;;
            hang-early) echo "time Collecting a" >>"$2"; sleep 60 ;;
            hang-late) echo "time   Installing collected packages: build-requirement" >>"$2"
                echo "time Installing collected packages: a" >>"$2"; sleep 60 ;;
            slow) sleep 1 ;;
        esac
        echo "time Installing collected packages: a" >>"$2"
        bin=${0%/*}
        { echo '#!/bin/sh'; echo 'echo "monsoon runs: $*"'; } >"$bin/monsoon"
        echo 'env >"$FAKE_CALLS.command-env"' >>"$bin/monsoon"
        chmod +x "$bin/monsoon" ;;
esac
"""


@dataclass
class Checkout:
    """A copy of the wrapper and of what it reads, with its own PATH and HOME."""

    folder: Path
    path: Path  # the only folder on PATH
    calls_file: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str, program: Path | None = None, cwd: Path | None = None, **extra: str):
        """Starts ./monsoon in a process group of its own."""
        return subprocess.Popen(
            [program or self.folder / "monsoon", *arguments],
            env={**self.environment, **extra},
            cwd=cwd or self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **extra) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **extra)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def calls(self, kind: str = "") -> list[str]:
        """The environments made and pip installs done so far."""
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [line for line in lines if line.startswith(kind)]

    def add_python(self, name: str, version: str = "CPython 3.11.9") -> Path:
        """Puts a pretending interpreter on PATH."""
        script = self.path / name
        bare = getattr(sys, "_base_executable", sys.executable)  # with -S it has its own library and nothing else
        text = FAKE_PYTHON.replace("@PYTHON@", sys.executable).replace("@BARE@", bare)
        script.write_text(text.replace("${FAKE_VERSION:-CPython 3.11.9}", version))
        script.chmod(0o755)
        return script


@pytest.fixture
def checkout(tmp_path: Path, root: Path) -> Checkout:
    """A fresh checkout, in a folder with a space in its name, with python3.11 on PATH."""
    folder, path, home = tmp_path / "my checkout", tmp_path / "bin", tmp_path / "home"
    for new in (folder, path, home):
        new.mkdir()
    for name in ("monsoon", "setup.py", "constraints.txt"):
        shutil.copy(root / name, folder)
    for tool in TOOLS + PRETENDING:
        found = shutil.which(tool)
        assert found, f"{tool} is not on this machine"
        (path / tool).symlink_to(os.path.realpath(found))
    calls = tmp_path / "calls"
    checkout = Checkout(folder, path, calls, {"PATH": str(path), "HOME": str(home), "FAKE_CALLS": str(calls)})
    checkout.add_python("python3.11")
    return checkout
