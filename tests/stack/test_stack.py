"""A stack: up, found, mended and down, with nothing left; with programs in the place of servers, and once for real."""

import os
import signal
import time
from pathlib import Path

import pytest
from kit.broker import need_jars

from monsoon.cli.main import main
from monsoon.pipelines.stack import jars
from monsoon.pipelines.stack import stack as module
from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.flink_cluster import FlinkCluster
from monsoon.pipelines.stack.kafka_broker import KafkaBroker
from monsoon.pipelines.stack.stack import Stack, State


def pids(stack):
    return [pid for process in stack.processes for pid in process.pids()]


def left(folder):
    """The processes that name the folder in their arguments or environment, the zombies not counted."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder) in text:
                found.append(int(entry.name))
    return found


def test_up_and_down(stack):
    assert stack.state is State.ABSENT
    assert stack.up()
    assert stack.state is State.RUNNING
    assert set(stack.record["processes"].values()) == set(pids(stack))
    assert not stack.up(), "it ran already"
    assert stack.down()
    assert stack.state is State.ABSENT
    assert not stack.folder.exists()
    assert left(stack.folder) == []
    assert not stack.down(), "there was nothing"
    assert not stack.folder.exists()


def test_data_and_ports_are_kept_if_asked(stack):
    stack.up(web_port=module.free_ports(1)[0])
    before = {name: stack.record[name] for name in ("broker", "controller", "zookeeper", "web")}
    stack.down(keep_data=True)
    assert (stack.state, pids(stack)) == (State.STOPPED, [])
    assert (stack.folder / "kafka" / "data").exists()
    other = module.free_ports(1)[0]
    stack.up(broker_port=other)
    assert {name: stack.record[name] for name in before} == before | {"broker": f"127.0.0.1:{other}"}
    assert (stack.folder / "kafka" / "data").exists()


def test_one_that_lost_a_process_is_told_apart_and_mended_by_down(stack):
    stack.up()
    victim = next(process for process in stack.processes if process.name == "kafka")
    os.kill(victim.pid, signal.SIGKILL)
    while victim.pid is not None:
        time.sleep(0.01)
    assert stack.state is State.INCOMPLETE
    with pytest.raises(StackError, match=r"incomplete, kafka ended: .*; start that again: \./monsoon up --stack"):
        stack.up()
    stack.down(keep_data=True)
    assert stack.up()


def test_one_whose_start_was_cut_off_is_incomplete(stack):
    stack.up()
    stack._write({name: value for name, value in stack.record.items() if name != "processes"})
    assert stack.state is State.INCOMPLETE
    assert stack.not_running() == "it was not started to its end"
    assert not stack.can_be_mended


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_while_it_starts_leaves_nothing(stack, monkeypatch, presses):
    start = Stack._start

    def pressed(*args):
        start(*args)
        for _ in range(presses):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Stack, "_start", pressed)
    with pytest.raises(KeyboardInterrupt):
        stack.up()
    assert left(stack.folder) == []
    assert not stack.folder.exists()


def test_ctrl_c_leaves_data_that_was_there_before(stack, monkeypatch):
    stack.up()
    stack.down(keep_data=True)

    def pressed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Stack, "_start", pressed)
    with pytest.raises(KeyboardInterrupt):
        stack.up()
    assert stack.state is State.STOPPED
    assert (stack.folder / "kafka" / "data").exists()


def test_a_start_that_fails_leaves_its_logs_and_no_process(stack, monkeypatch):
    start = Stack._start

    def fails(*args):
        start(*args)
        raise StackError("no room")

    monkeypatch.setattr(Stack, "_start", fails)
    with pytest.raises(StackError, match="no room"):
        stack.up()
    assert left(stack.folder) == []
    assert (stack.folder / "logs" / "kafka.log").exists()
    assert stack.state is State.STOPPED


def test_a_folder_of_something_else_is_left_alone(stack):
    stack.folder.mkdir()
    (stack.folder / "letter").touch()
    with pytest.raises(StackError, match="holds something, but no stack; give --stack a new or empty folder"):
        stack.up()
    assert not stack.down()
    assert [file.name for file in stack.folder.iterdir()] == ["letter"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"broker": "127.0.0.1:1"}'])
def test_a_record_that_a_crash_of_the_machine_broke(stack, capsys, content):
    stack.up()
    (stack.folder / "stack.json").write_text(content)
    assert stack.state is State.INCOMPLETE
    with pytest.raises(StackError, match="monsoon down"):
        stack.up()
    for command in (["reconcile"], ["ledger", "balances"]):
        assert main([*command, "--stack", str(stack.folder)]) == 1
        assert "stack.json is broken" in capsys.readouterr().err
    assert main(["status", "--stack", str(stack.folder)]) == 1
    assert "incomplete" in capsys.readouterr().out
    assert stack.down()
    assert not stack.folder.exists()
    assert left(stack.folder) == []


def test_what_others_put_there_stays(stack):
    stack.up()
    (stack.folder / "letter").touch()
    stack.down()
    assert [file.name for file in stack.folder.iterdir()] == ["letter"]


def test_two_commands_at_once_are_refused(stack):
    stack.up()
    with stack._locked(), pytest.raises(StackError, match="another command"):
        Stack(stack.folder).down()
    assert stack.state is State.RUNNING


def test_a_port_that_is_taken_is_told(stack):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port}, .* is taken; give another --web-port, or stop"):
            stack.up(web_port=port)
    assert not stack.folder.exists()


def test_where_there_is_no_stack_its_servers_are_not(stack):
    with pytest.raises(StackError, match=r"no stack here; bring one up: \./monsoon up"):
        _ = stack.cluster


@pytest.mark.parametrize("fetched", [True, False])
def test_the_commands_say_what_is_and_what_to_do(stack, capsys, monkeypatch, fetched):
    fetches = []
    monkeypatch.setattr(jars, "are_fetched", lambda: fetched)
    monkeypatch.setattr(jars, "fetch", lambda: fetches.append(1))
    folder = str(stack.folder)

    def says(code, *words):
        assert main([words[0], "--stack", folder, *words[1:]]) == code
        told = capsys.readouterr()
        return told.out + told.err

    assert f"no stack in {folder}; bring one up: ./monsoon up --stack {folder}" in says(1, "status")
    assert "no stack in" in says(0, "down")
    told = says(0, "up", "--no-job")
    assert len(fetches) == (not fetched)
    assert all(f"  {each.name} " in told and f"process {each.pid}" in told for each in stack.processes)
    assert stack.record["broker"] in told
    assert "was running already" in says(0, "up", "--no-job")
    os.kill(stack.record["processes"]["kafka"], signal.SIGKILL)
    while stack.state is State.RUNNING:
        time.sleep(0.01)
    assert "kafka           ended: its log tells of no error, as if it had been killed; its log: " in says(1, "status")
    monkeypatch.setattr(KafkaBroker, "launch", lambda broker: broker.process.start(["sleep", "600"]))
    for server in (KafkaBroker, FlinkCluster):
        monkeypatch.setattr(server, "wait_until_ready", lambda *unused: None)
    assert "started again what had ended (kafka)" in says(0, "up", "--no-job")
    assert stack.state is State.RUNNING
    assert "data and logs are kept" in says(0, "down", "--keep-data")
    assert "stopped, with its data" in says(1, "status")
    assert "removed" in says(0, "down")


@pytest.mark.flink
@pytest.mark.slow
def test_the_real_one_by_its_commands(tmp_path, capsys):
    need_jars()
    folder, stack = str(tmp_path / "stack"), Stack(tmp_path / "stack")
    try:
        assert main(["status", "--stack", folder]) == 1
        assert main(["up", "--no-job", "--stack", folder, "--slots", "1"]) == 0
        assert main(["up", "--no-job", "--stack", folder]) == 0
        assert "was running already" in capsys.readouterr().out
        assert main(["status", "--stack", folder]) == 0
        told = capsys.readouterr().out
        assert [f"  {each.name}" in told and f"process {each.pid} " in told for each in stack.processes] == [True] * 4
        assert stack.cluster.get("/overview")["slots-total"] == 1

        # A TaskManager is killed, and another takes its place; then the JobManager, and the next one knows it.
        stack.add_task_manager()
        (first, second) = stack.cluster.task_managers
        os.kill(first.pid, signal.SIGKILL)
        os.kill(stack.cluster.job_manager.pid, signal.SIGKILL)
        while first.pid or stack.cluster.job_manager.pid:
            time.sleep(0.01)
        assert main(["status", "--stack", folder]) == 1
        assert "incomplete" in capsys.readouterr().out
        assert main(["up", "--no-job", "--stack", folder]) == 0
        assert f"started again what had ended (jobmanager, {first.name})" in capsys.readouterr().out
        assert [each.name for each in stack.cluster.task_managers] == [second.name, "taskmanager-3"]
        assert stack.mend() == []
        assert main(["status", "--stack", folder]) == 0
        assert stack.record["processes"] == {each.name: each.pid for each in stack.processes}
        assert main(["down", "--stack", folder]) == 0
        assert main(["down", "--stack", folder]) == 0
    finally:
        stack.down()
    assert left(folder) == []
    assert not (tmp_path / "stack").exists()
