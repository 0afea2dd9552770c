"""Counts every column of telemetry with Flink SQL, in batch: `python -m monsoon.bench.flink_parse DIR`."""

from __future__ import annotations

import os
import sys
from importlib.resources import files

from monsoon.transforms.validation.fields import stream_fields

_TYPES = {
    "string": "STRING",
    "strings": "ARRAY<STRING>",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
}


def statements(folder: str) -> list[str]:
    """The statements of count_telemetry.sql for a folder, with the columns of the contract."""
    fields = stream_fields("telemetry")
    text = files("monsoon.bench").joinpath("count_telemetry.sql").read_text()
    filled = text.format(
        folder=folder,
        columns=",\n".join(f"    `{field.name}` {_TYPES[field.kind]}" for field in fields),
        counts=", ".join(f"COUNT(`{field.name}`)" for field in fields),
    )
    return [statement.strip() for statement in filled.split(";") if statement.strip()]


def main() -> int:
    """Prints the counts."""
    from monsoon.pipelines.flink.java import use_java

    use_java()
    os.environ.setdefault("JVM_ARGS", "-XX:TieredStopAtLevel=1")
    from pyflink.table import EnvironmentSettings, TableEnvironment

    table = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    table.get_config().set("parallelism.default", str(os.cpu_count() or 1))
    create, count = statements(os.path.abspath(sys.argv[1]))
    table.execute_sql(create)
    with table.execute_sql(count).collect() as rows:
        print(*rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
