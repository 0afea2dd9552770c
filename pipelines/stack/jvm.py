"""How a Java program of the stack is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.jars import java_home
from monsoon.pipelines.stack.processes import StackProcess

QUICK_START = ("-XX:TieredStopAtLevel=1",)
"""The programs of the stack move bytes. To optimize code took 17 s of a TaskManager's CPU while a million reports were
read; without the optimizing compiler it is 1.3 s."""
_LOG_SETTINGS = Path(__file__).parent.parent / "flink" / "log4j2.properties"


def flink_home() -> Path:
    """Flink as the package apache-flink brings it. Raises StackError where that is not installed."""
    spec = find_spec("pyflink")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("pyflink is not installed here; ./monsoon brings it, or: pip install 'monsoon[flink,kafka]'")
    return Path(next(iter(spec.submodule_search_locations)))


def java_command(
    folder: Path, main_class: str, arguments: Sequence[str], class_path: str, options: Sequence[str]
) -> list[str]:
    """The command of a Java program of the stack in `folder`; `options` are the JVM's."""
    temporary = folder.absolute() / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    common = (
        f"-Dlog4j.configurationFile={_LOG_SETTINGS.as_uri()}",
        # What a killed JVM would leave outside of the folder.
        f"-Djava.io.tmpdir={temporary}",
        "-XX:-UsePerfData",
        f"-XX:ErrorFile={folder.absolute() / 'logs' / 'hs_err_pid%p.log'}",
    )
    return [str(java_home() / "bin" / "java"), *common, *options, "-cp", class_path, main_class, *arguments]


def launch(
    process: StackProcess,
    main_class: str,
    arguments: Sequence[str],
    class_path: str,
    options: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> None:
    """Starts a Java program as a process of the stack, without waiting; it logs to the process's log."""
    own = {"MONSOON_FLINK_LOG": str(process.log.absolute()), "TMPDIR": str(process.folder.absolute() / "tmp")}
    process.start(
        java_command(process.folder, main_class, arguments, class_path, options), own | dict(environment or {})
    )
