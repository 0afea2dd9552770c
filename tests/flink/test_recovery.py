"""A run that is killed, interrupted, stopped or loses its workers ends in the local engine's records."""

import gzip
import json
import os
import random
import shutil
import signal
import socket
import time

import polars as pl
import pytest
from kit.flink_runs import COMMAND_PART_BYTES, PRODUCTS, Command, asked, locally, running_job, written
from kit.refusals import many_refused

from monsoon.cli.main import main
from monsoon.pipelines.flink.file_splits import intervals_of, plan
from monsoon.pipelines.local.replay import replay
from monsoon.sources.model_files import load_scorer

pytestmark = [pytest.mark.flink, pytest.mark.slow]


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    """A simulated storm in many files, so in many parts, and what the local engine makes of it."""
    folder = tmp_path_factory.mktemp("storm")
    words = ["simulate", "--storm", "delhi-2024-06-28", "--riders", "60", "--seed", "5"]
    assert main([*words, "--output", str(folder / "in")]) == 0
    (whole,) = (folder / "in" / "telemetry").iterdir()
    lines = sorted(whole.read_text().splitlines(), key=lambda line: json.loads(line)["event_time"])
    whole.unlink()
    for number, start in enumerate(range(0, len(lines), 400)):
        file = folder / "in" / "telemetry" / f"part-{number * 7919 % 1000:03d}.jsonl"
        file.write_text("".join(f"{line}\n" for line in lines[start : start + 400]))
    return folder / "in", locally(folder / "in", folder / "local")


def free_port():
    with socket.socket() as trial:
        trial.bind(("localhost", 0))
        return trial.getsockname()[1]


def test_killed_again_and_again_then_interrupted(tmp_path, storm):
    """With state on disk, in RocksDB with incremental checkpoints; no other backend reads it."""
    source, expected = storm
    output, on_disk = tmp_path / "out", ("--state-backend", "rocksdb")
    chance = random.Random(1)

    first = Command(source, output, *on_disk)
    first.wait_until(lambda: (output / ".monsoon-run").exists())
    first.kill()  # before its first checkpoint: the same command starts anew

    second = Command(source, output, *on_disk)
    second.wait_for_checkpoints()
    time.sleep(0.3 * chance.random())
    second.kill()

    code, _, err = Command(source, output, "--resume", "--parallelism", "1").end()
    assert code == 1
    assert "state backend (rocksdb, not hashmap)" in err

    third = Command(source, output, "--resume", "--parallelism", "1", *on_disk)
    third.wait_for_checkpoints(3)
    time.sleep(0.3 * chance.random())
    os.kill(third.jvm(), signal.SIGKILL)
    code, _, err = third.end()
    assert code == 1
    assert err == f"monsoon run: the Flink job failed: its JVM ended; Flink's log: {third.checkpoints / 'flink.log'}\n"

    fourth = Command(source, output, "--resume", "--parallelism", "2", *on_disk)
    fourth.wait_for_checkpoints()
    code, out, err = fourth.signal(signal.SIGINT)
    assert (code, out) == (130, "")
    assert err.count("\n") == 1
    assert f"./monsoon run --resume --input {source} --output {output}" in err
    assert fourth.members() == []

    code, out, err = Command(source, output, "--resume", *on_disk).end()
    assert (code, err) == (0, "")
    assert written(output) == expected
    assert not list(output.glob("*/.*"))

    again = Command(source, output, "--resume", *on_disk).end()
    assert again[0] == 1
    assert "this run has ended" in again[2]


def test_a_python_worker_killed_alone(tmp_path, storm):
    source, expected = storm
    command = Command(source, tmp_path / "out")
    command.wait_for_checkpoints()
    os.kill(command.python_workers()[0], signal.SIGKILL)
    code, _, err = command.end()
    assert (code, err) == (0, "")
    log = (tmp_path / "out.checkpoints" / "flink.log").read_text()
    assert log.count("from state RUNNING to RESTARTING") == 1
    assert "Restoring job" in log
    assert written(tmp_path / "out") == expected


@pytest.mark.parametrize("ending", ["jsonl.gz", "parquet"])
def test_killed_in_the_middle_of_one_large_file(tmp_path, storm, ending):
    """It is read in parts, so a checkpoint may lie between two of them."""
    source, expected = tmp_path / "in", storm[1]
    shutil.copytree(storm[0], source)
    plain = sorted((source / "telemetry").iterdir())
    lines = [line for file in plain for line in file.read_bytes().splitlines(keepends=True)]
    for file in plain:
        file.unlink()
    if ending == "parquet":
        rows = pl.read_ndjson(b"".join(lines), infer_schema_length=None)
        rows.write_parquet(source / "telemetry" / "all.parquet")
        expected = locally(source, tmp_path / "local")
    else:
        (source / "telemetry" / "all.jsonl.gz").write_bytes(gzip.compress(b"".join(lines)))
    parts = plan(source, COMMAND_PART_BYTES)[0]
    others = sum(planned.stream != "telemetry" for planned in parts)

    first = Command(source, tmp_path / "out", "--parallelism", "1")
    first.wait_until(lambda: first.parts_read() > others + 2)
    first.kill()
    assert first.parts_read() < len(parts)

    code, _, err = Command(source, tmp_path / "out", "--resume").end()
    assert (code, err) == (0, "")
    assert written(tmp_path / "out") == expected


def test_a_run_of_what_is_mostly_refused_stops_and_goes_on(tmp_path):
    source = many_refused(tmp_path / "in", 7_990, 2_010)
    code, _, err = Command(source, tmp_path / "out", "--products", "kawaach").end()
    assert code == 1
    assert "telemetry: 2,010 of 10,000 records are refused, 20.1% where 20% may be" in err
    assert "The job was stopped" in err
    assert err.count("\n") == 1

    words = ["--products", "kawaach", "--resume", "--max-refused-share", "1"]
    assert Command(source, tmp_path / "out", *words).end()[0] == 0
    replay(source, tmp_path / "local", PRODUCTS, ["kawaach"], load_scorer())
    assert written(tmp_path / "out") == written(tmp_path / "local")


def stop_with_savepoint(command, port):
    """Stops the one job as Flink's own client does; returns where the savepoint is."""
    command.wait_for_checkpoints()
    job = running_job(port)
    trigger = asked(port, f"/jobs/{job}/stop", {"drain": False})["request-id"]
    assert trigger
    code, _, err = command.end()
    assert code == 1
    assert "stopped with a savepoint" in err
    found = sorted((command.checkpoints / "savepoints").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return found[-1]


def test_savepoints_at_another_parallelism_and_with_a_table_sink_added(tmp_path, storm):
    source, expected = storm
    output, port = tmp_path / "out", free_port()
    first = stop_with_savepoint(Command(source, output, "--parallelism", "1", "--web-port", str(port)), port)
    options = ["--from-savepoint", str(first), "--parallelism", "2", "--web-port", str(port)]
    second = stop_with_savepoint(Command(source, output, *options), port)
    older = Command(source, output, "--from-savepoint", str(first)).end()
    assert older[0] == 1
    assert "is older than what" in older[2]
    assert run_with_table_sink(source, output, second, tmp_path / "table") > 0
    code, _, err = Command(source, output, "--resume").end()
    assert (code, err) == (0, "")
    assert written(output) == expected


def run_with_table_sink(source, output, savepoint, table):
    """The same job restored with an INSERT of its results into a table beside; returns how many rows that got."""
    from pyflink.table import StreamTableEnvironment

    from monsoon.pipelines.flink.graph import Config, build
    from monsoon.pipelines.flink.job_record import Keying
    from monsoon.pipelines.flink.local_cluster import environment, streaming_settings
    from monsoon.pipelines.flink.run import settings_of, sink

    checkpoints = output.with_name(f"{output.name}.checkpoints")
    restore_from = savepoint.absolute().as_uri()
    env = environment(
        streaming_settings(1, checkpoints=checkpoints, checkpoint_interval_ms=300, restore_from=restore_from)
    )
    tables = StreamTableEnvironment.create(env)
    tables.get_config().set("table.exec.uid.generation", "ALWAYS")
    parts, _ = plan(source, COMMAND_PART_BYTES)
    intervals = intervals_of(parts, COMMAND_PART_BYTES)
    settings = settings_of(source, PRODUCTS, PRODUCTS, None, Keying(4), intervals)
    results = build(env, Config(parts, settings, streaming=True))
    sink(results, output)
    tables.create_temporary_view("results", tables.from_data_stream(results))
    tables.execute_sql(
        "CREATE TABLE copies (kind STRING, characters INT) "
        f"WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{table}')"
    )
    statements = tables.create_statement_set()
    statements.add_insert_sql("INSERT INTO copies SELECT kind, CHAR_LENGTH(payload) FROM results")
    statements.attach_as_datastream()
    env.execute("monsoon run with a table")
    return sum(len(part.read_text().splitlines()) for part in table.glob("part-*"))
