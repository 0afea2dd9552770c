"""How a Java program of the stack is called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monsoon.pipelines.stack.jars import java_home

_LOG_SETTINGS = Path(__file__).parent.parent / "flink" / "log4j2.properties"


def java_command(main_class: str, arguments: Sequence[str], class_path: str, options: Sequence[str]) -> list[str]:
    """The command of a Java program that logs where `log_environment` says; `options` are the JVM's."""
    log = f"-Dlog4j.configurationFile={_LOG_SETTINGS.as_uri()}"
    return [str(java_home() / "bin" / "java"), log, *options, "-cp", class_path, main_class, *arguments]


def log_environment(log: Path) -> dict[str, str]:
    """The environment of a Java program that logs to a file."""
    return {"MONSOON_FLINK_LOG": str(log)}
