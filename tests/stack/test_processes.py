"""Processes that outlive a command: found, ended with all their children, and never confused with others."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.processes import StackProcess, last_error, processes_of, stop

SLEEPS = "import time; print('ready', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
GENTLE = (
    f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0))); {SLEEPS}"
)
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); {SLEEPS}"


def silent(stage, share):
    pass


@pytest.fixture
def start(tmp_path):
    """Starts a program and waits until it, and `lines` in all of its family, printed that they are ready."""
    started = []

    def start(program, name="one", lines=1):
        process = StackProcess(tmp_path, name)
        started.append(process)
        process.start([sys.executable, "-c", program])
        process.wait_until(lambda: process.log.read_text().count("ready") >= lines, 20, silent)
        return process

    yield start
    stop(started, 0)


def runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", "rb") as stat:
        return stat.read().rpartition(b")")[2].split()[0] != b"Z"


def test_another_command_finds_it_and_ends_it(tmp_path, start):
    pid = start(SLEEPS).pid
    assert os.getsid(pid) == pid != os.getsid(0), "a session of its own: Ctrl-C here does not reach it"
    (found,) = processes_of(tmp_path)
    assert (found.name, found.pid) == ("one", pid)
    stop([found], 5)
    assert found.pid is None
    assert not runs(pid)
    assert processes_of(tmp_path) == []


def test_one_that_runs_is_not_started_again(start):
    process = start(SLEEPS)
    with pytest.raises(StackError, match=f"one runs already .process {process.pid}"):
        process.start([sys.executable, "-c", SLEEPS])


def test_it_may_end_in_good_order(start):
    process = start(GENTLE)
    stop([process], 20)
    assert process.log.read_text() == "ready\nbye\n"


def test_one_that_does_not_want_to_is_killed_after_the_grace(start):
    process = start(STUBBORN)
    pid, began_s = process.pid, time.monotonic()
    stop([process], 0.3)
    assert 0.3 <= time.monotonic() - began_s < 10
    assert not runs(pid)


def test_without_grace_it_is_killed_at_once(start):
    process = start(GENTLE)
    stop([process], 0)
    assert process.log.read_text() == "ready\n"


def test_children_end_with_it(start):
    process = start(PARENT, lines=2)
    pids = process.pids()
    assert len(pids) == 2
    stop([process], 5)
    assert not any(map(runs, pids))


def test_children_that_it_left_behind_are_ended(start):
    process = start(PARENT, lines=2)
    (child,) = set(process.pids()) - {process.pid}
    os.kill(process.pid, signal.SIGKILL)
    process._popen.wait()
    assert process.pid is None, "it does not run"
    assert process.pids() == [child]
    stop([process], 5)
    assert not runs(child)


@pytest.mark.parametrize("grace_s", [0, 5])
def test_a_process_that_has_its_pid_by_chance_is_left_alone(tmp_path, start, grace_s):
    process = start(SLEEPS)
    stop([process], 0)
    with subprocess.Popen([sys.executable, "-c", SLEEPS], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"ready\n"
        (tmp_path / "pids" / "one.json").write_text(json.dumps({"mark": "0" * 32, "pid": other.pid}))
        assert process.pid is None
        assert process.pids() == []
        stop([process], grace_s)
        assert other.poll() is None
        other.kill()


def test_one_whose_pid_was_not_written_any_more_is_ended(tmp_path, start):
    """The command that started it was killed just then."""
    process = start(SLEEPS)
    pid, file = process.pid, tmp_path / "pids" / "one.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pid": None}))
    (found,) = processes_of(tmp_path)
    assert found.pids() == [pid]
    stop([found], 5)
    assert not runs(pid)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"mark": "x", "pid": 1, "stop_signal": 999}'])
def test_a_pid_file_that_a_crash_of_the_machine_broke(tmp_path, content):
    """Nothing of before the crash runs: it is there to be removed."""
    (tmp_path / "pids").mkdir()
    (tmp_path / "pids" / "one.json").write_text(content)
    (found,) = processes_of(tmp_path)
    assert found.pids() == []
    stop([found], 5)
    assert processes_of(tmp_path) == []


def test_why_it_ended_is_told(tmp_path):
    process = StackProcess(tmp_path, "one")
    process.start([sys.executable, "-c", "print('at work'); raise OSError('no room')"])
    with pytest.raises(StackError) as told:
        process.wait_until(lambda: False, 20, silent)
    log = tmp_path / "logs" / "one.log"
    assert str(told.value) == f"one ended while it started: exit code 1; OSError: no room; its log: {log}"
    stop([process], 0)


def test_what_does_not_get_ready_is_told(start):
    process = start(SLEEPS)
    with pytest.raises(StackError, match=r"one was not ready after 0 s; ready; its log: .*one\.log"):
        process.wait_until(lambda: False, 0.2, silent)


def test_a_signal_is_told(start):
    process = start(SLEEPS)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(StackError, match="killed by signal 9; ready"):
        process.wait_until(lambda: False, 20, silent)


def test_the_log_of_the_last_start_is_kept(tmp_path, start):
    stop([start("print('first'); " + SLEEPS)], 0)
    process = start(SLEEPS)
    assert process.log.read_text() == "ready\n"
    assert (tmp_path / "logs" / "one.log.1").read_text() == "first\nready\n"


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", ""),
        ("one\n\ntwo\n\n", "two"),
        ("2026-12-01 16:17:18 INFO  a.B - fine\n", ""),
        ("a.BError: late\n12:00 WARN  a.B - RECEIVED SIGNAL 15\n", "12:00 WARN  a.B - RECEIVED SIGNAL 15"),
        ("12:00 ERROR a.B - FATAL - in the handler\nb.CError: closed\n", "12:00 ERROR a.B - FATAL - in the handler"),
        ("12:00 ERROR a.B - closed\n#\n#  SIGSEGV (0xb) at pc=0x7f\n#\n# Bye\n", "#  SIGSEGV (0xb) at pc=0x7f"),
        ("12:00 ERROR a.B - no room\n12:01 INFO  a.B - ending\n", "12:00 ERROR a.B - no room"),
        (
            'Exception in thread "main" java.net.BindException: Address in use\n\tat sun.nio.ch.Net.bind(Net.java)\n',
            'Exception in thread "main" java.net.BindException: Address in use',
        ),
        ("a.BError: a\nCaused by: java.io.IOException: b\n\tat X.Error(X)\n", "Caused by: java.io.IOException: b"),
    ],
)  # fmt: skip
def test_the_last_error_of_a_log(tmp_path, log, line):
    (tmp_path / "log").write_text(log)
    assert last_error(tmp_path / "log") == line


def test_no_log_has_no_error(tmp_path):
    assert last_error(tmp_path / "log") == ""


def test_it_is_asked_to_end_by_the_signal_of_its_start(tmp_path):
    """Whoever ends it: another command reads the signal from the pid file."""
    process = StackProcess(tmp_path, "one")
    process.start([sys.executable, "-c", GENTLE.replace("SIGTERM", "SIGUSR1")], stop_signal=signal.SIGUSR1)
    process.wait_until(lambda: "ready" in process.log.read_text(), 20, silent)
    stop([StackProcess(tmp_path, "one")], 20)
    assert process.log.read_text() == "ready\nbye\n"
