"""./monsoon: sets up what a command needs, once, and recovers from whatever cut a set-up off."""

import ast
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest


def wait_for(condition, seconds=10.0):
    """Waits until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


def programs_of(process):
    """The names of the programs that run in a process's group, as /proc has them."""
    names = set()
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = file.read_text().partition("(")[2].rpartition(")")
        except OSError:  # it ended meanwhile
            continue
        if int(rest.split()[2]) == process.pid:
            names.add(name)
    return names


def kill_group(process, signal_number):
    os.killpg(process.pid, signal_number)
    return process.communicate(timeout=30)


def test_sets_up_and_hands_over(checkout):
    done = checkout.run("replay", "--input", "a b")
    assert done.returncode == 0
    assert done.stdout == "monsoon runs: replay --input a b\n"
    assert checkout.calls("venv") == ["venv"]
    steps = [line.split(":")[1].split()[0] for line in done.stderr.splitlines()]
    assert steps == ["setting", "making", "installing", "ready"]


def test_no_extra_counts_as_installed_where_there_is_no_cksum(checkout):
    assert not (checkout.path / "cksum").exists()
    checkout.run("demo")
    assert [call.rsplit(" ", 1)[1] for call in checkout.calls("pip")] == [".[core]"]
    checkout.run("train")
    assert [call.rsplit(" ", 1)[1] for call in checkout.calls("pip")] == [".[core]", ".[core,train]"]
    checkout.run("train")
    assert len(checkout.calls("pip")) == 2


@pytest.mark.parametrize("missing", ["awk", "cat", "date", "df", "env", "grep", "mkdir", "mv", "readlink", "rm", "sed"])
def test_a_tool_that_is_missing_is_named_or_not_needed(checkout, missing):
    (checkout.path / missing).unlink()
    done = checkout.run("demo")
    if done.returncode:
        assert missing in done.stderr
        assert not (checkout.folder / ".venv").exists()
    else:
        assert done.stdout == "monsoon runs: demo\n"
        assert [call.rsplit(" ", 1)[1] for call in checkout.calls("pip")] == [".[core]"]


def command_environment(checkout, **extra):
    """What the command sees of the variables of Python and onnxruntime."""
    checkout.run("demo", **extra)
    lines = (checkout.calls_file.parent / "calls.command-env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith(("ORT", "PYTHON")))


def test_onnxruntime_is_told_to_send_nothing(checkout):
    assert command_environment(checkout) == {"ORT_DISABLE_TELEMETRY": "1"}


def test_bytecode_is_kept_in_the_environment_where_it_may_not_lie_beside_the_sources(checkout):
    """Else every command and every process that it starts would compile all libraries again."""
    told = command_environment(checkout, PYTHONDONTWRITEBYTECODE="1")
    assert told.pop("PYTHONPYCACHEPREFIX") == f"{checkout.folder}/.venv/bytecode"
    assert "PYTHONDONTWRITEBYTECODE" not in told
    told = command_environment(checkout, PYTHONDONTWRITEBYTECODE="1", PYTHONPYCACHEPREFIX="/elsewhere")
    assert told["PYTHONPYCACHEPREFIX"] == "/elsewhere"


def test_up_to_date_set_up_is_skipped_at_once(checkout):
    checkout.run("demo")
    before = checkout.calls()
    for name in ("python3.11", "awk", "df", "grep", "sed"):
        (checkout.path / name).unlink()  # the quick path has no use for them, least of all for a Python
    done = checkout.run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert checkout.calls() == before


@pytest.mark.parametrize("name", ["setup.py", "constraints.txt"])
def test_a_change_of_requirements_installs_again_into_the_same_environment(checkout, name):
    checkout.run("demo")
    with (checkout.folder / name).open("a") as file:
        file.write("# changed\n")
    checkout.run("demo")
    assert len(checkout.calls("pip")) == 2
    assert len(checkout.calls("venv")) == 1


@pytest.mark.parametrize(
    ("arguments", "extras"),
    [
        (["demo"], "core"),
        (["replay", "--engine", "local"], "core"),
        (["replay", "--engine", "flink"], "core,flink"),
        (["replay", "--engine=flink"], "core,flink"),
        (["train"], "core,train"),
        (["test", "-k", "train"], "core,dev,flink,kafka,notebooks,train"),
        (["test", "--quick", "-k", "train"], "core,dev,kafka,notebooks,train"),
        (["test", "--all"], "core,dev,flink,kafka,notebooks,train"),
        (["lint"], "core,dev,train"),
        (["run", "--input", "in"], "core,flink"),
        (["jars"], "core,flink"),
        (["features", "list"], "core,kafka,redis"),
        (["season", "--years", "10"], "core,season"),
        (["notebooks", "--strip"], "core,notebooks,season"),
        (["dlq", "list"], "core,kafka"),
        (["dispute", "c1"], "core,kafka"),
        (["report", "--output", "dir"], "core"),
        (["bench", "features"], "core,redis"),
        (["up", "--stack", "dir"], "core,flink,kafka,money,redis"),
        (["down"], "core,flink,kafka"),
        (["dispatch", "--workers", "2"], "core,flink,kafka,money"),
        (["ledger", "migrate"], "core,money"),
        (["bench", "money"], "core,money"),
        (["products", "explain", "gic"], "core"),
        (["products", "show", "gic", "--product-file", "flink"], "core"),
    ],
)
def test_each_command_brings_its_extras(checkout, arguments, extras):
    checkout.run(*arguments)
    assert [call.rsplit(" ", 1)[1] for call in checkout.calls("pip")] == [f".[{extras}]"]
    checkout.run("demo")
    assert len(checkout.calls("pip")) == 1, "what is there serves the commands that need less"


def test_extras_and_pins_are_those_of_setup_py(root):
    setup = ast.parse((root / "setup.py").read_text())
    lists = {
        keyword.arg: ast.literal_eval(keyword.value)
        for keyword in ast.walk(setup)
        if isinstance(keyword, ast.keyword) and keyword.arg in ("install_requires", "extras_require")
    }
    extras = lists["extras_require"]
    for line in re.findall(r"extras=(\S+) ;;", (root / "monsoon").read_text()):
        named = re.sub(r"\$\w+", "", line).strip(",").split(",")
        assert set(named) <= set(extras), "the wrapper asks for an extra that setup.py does not have"
    pins = {line.split("==")[0].lower() for line in (root / "constraints.txt").read_text().splitlines() if "==" in line}
    packages = [*lists["install_requires"], *(package for extra in extras.values() for package in extra)]
    assert {package.split("==")[0].lower() for package in packages} <= pins


def test_works_through_symlinks_from_anywhere(checkout, tmp_path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "one").symlink_to("../my checkout/monsoon")
    (tmp_path / "two").symlink_to(tmp_path / "links" / "one")
    assert checkout.run("demo", program=tmp_path / "two", cwd=tmp_path).stdout == "monsoon runs: demo\n"
    assert (checkout.folder / ".venv").is_dir()


def test_settings_of_pip_that_would_install_elsewhere_are_ignored(checkout):
    told = {
        "PIP_TARGET": "x",
        "PIP_USER": "1",
        "PIP_NO_DEPS": "1",
        "PIP_INDEX_URL": "https://mirror.example/simple",
    }
    checkout.run("demo", PYTHONPATH="elsewhere", PYTHONHOME="elsewhere", VIRTUAL_ENV="elsewhere", **told)
    seen = dict(line.split("=", 1) for line in (checkout.calls_file.parent / "calls.env").read_text().splitlines())
    assert seen == {
        "PIP_CONSTRAINT": "constraints.txt",
        "PIP_INDEX_URL": "https://mirror.example/simple",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_USER": "0",
    }


def test_finds_a_working_python_behind_others(checkout):
    checkout.add_python("python3.11", "").write_text("#!/bin/sh\nexit 127\n")  # a version manager's shim
    checkout.add_python("python3", "CPython 3.12.1")
    checkout.add_python("python")
    assert checkout.run("demo").returncode == 0


def test_wrong_python_names_what_was_found(checkout):
    (checkout.path / "python3.11").unlink()
    checkout.add_python("python3", "CPython 3.12.1")
    done = checkout.run("demo")
    assert done.returncode == 1
    assert f"{checkout.path}/python3 (CPython 3.12.1)" in done.stderr
    assert "MONSOON_PYTHON=" in done.stderr
    assert not (checkout.folder / ".venv").exists()


def test_no_python_at_all(checkout):
    (checkout.path / "python3.11").unlink()
    done = checkout.run("demo")
    assert done.returncode == 1
    assert "found no Python on PATH" in done.stderr


def test_monsoon_python_is_taken_at_its_word(checkout, tmp_path):
    checkout.path = tmp_path
    other = checkout.add_python("other python", "CPython 3.10.2")
    done = checkout.run("demo", MONSOON_PYTHON=str(other))
    assert done.returncode == 1
    assert "CPython 3.10.2" in done.stderr
    assert "no Python that runs" in checkout.run("demo", MONSOON_PYTHON="/nowhere").stderr
    other = checkout.add_python("other python")
    assert checkout.run("demo", MONSOON_PYTHON=str(other)).returncode == 0


def test_no_venv_module_names_the_package_to_install(checkout):
    done = checkout.run("demo", FAKE_NO_VENV="1")
    assert done.returncode == 1
    assert "apt-get install python3.11-venv" in done.stderr


def test_venv_that_fails_is_told_in_its_own_words(checkout):
    done = checkout.run("demo", FAKE_VENV="broken")
    assert done.returncode == 1
    assert "no space for a venv" in done.stderr
    assert checkout.run("demo").returncode == 0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no-network", "index could not be reached"),
        ("disk-full", "disk filled up"),
        ("conflict", "distribution found"),
    ],
)
def test_pip_that_fails_says_what_to_do_and_the_next_call_recovers(checkout, fault, words):
    done = checkout.run("demo", FAKE_PIP=fault)
    assert done.returncode == 1
    assert words in done.stderr
    assert "run again" in done.stderr
    assert done.stdout == ""
    assert checkout.run("demo").stdout == "monsoon runs: demo\n"


def test_no_network_for_an_extra_leaves_the_other_commands_working(checkout):
    checkout.run("demo")
    assert checkout.run("train", FAKE_PIP="no-network").returncode == 1
    assert checkout.run("demo", FAKE_PIP="no-network").returncode == 0


def test_too_little_disk_is_told_before_anything_is_made(checkout):
    (checkout.path / "df").unlink()
    (checkout.path / "df").write_text("#!/bin/sh\necho head; echo disk 1 1 102400 99% /\n")
    (checkout.path / "df").chmod(0o755)
    done = checkout.run("demo")
    assert done.returncode == 1
    assert "100 MB free" in done.stderr
    assert not (checkout.folder / ".venv").exists()


def test_read_only_checkout(checkout):
    """Root may write everywhere, so there the wrapper is run as nobody, in a place that nobody may read."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        readable = shutil.copytree(checkout.folder.parent, place / "all", symlinks=True)
        readable.chmod(0o755)
        nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        folder = readable / checkout.folder.name
        folder.chmod(0o555)
        done = subprocess.run(
            [folder / "monsoon", "demo"],
            env={**checkout.environment, "PATH": str(readable / checkout.path.name)},
            cwd=place,
            capture_output=True,
            text=True,
            timeout=60,
            **nobody,
        )
        folder.chmod(0o755)
    assert done.returncode == 1
    assert "cannot write" in done.stderr


@pytest.mark.parametrize(
    "harm",
    [
        lambda venv: (venv / "bin" / "python").unlink(),
        lambda venv: (venv / "bin" / "monsoon").unlink(),
        lambda venv: shutil.rmtree(venv / "bin"),
        lambda venv: (venv / "made-at").unlink(),
        lambda venv: [file.unlink() for file in venv.glob("ready-*")],
    ],
    ids=["no python", "no command", "no bin", "no owner", "no stamp"],
)
def test_damaged_environment_is_mended(checkout, harm):
    checkout.run("demo")
    harm(checkout.folder / ".venv")
    assert checkout.run("demo").stdout == "monsoon runs: demo\n"


def test_moved_checkout_makes_its_environment_anew(checkout):
    checkout.run("demo")
    checkout.folder = checkout.folder.rename(checkout.folder.parent / "moved")
    assert checkout.run("demo").stdout == "monsoon runs: demo\n"
    assert len(checkout.calls("venv")) == 2


def test_environment_made_by_hand_is_set_aside_not_deleted(checkout):
    (checkout.folder / ".venv").mkdir()
    (checkout.folder / ".venv" / "mine").touch()
    done = checkout.run("demo")
    assert done.returncode == 0
    assert "set aside" in done.stderr
    assert len(list(checkout.folder.glob(".venv-*/mine"))) == 1


@pytest.mark.parametrize(("moment", "environments"), [("hang-early", 1), ("hang-late", 2)])
def test_killed_set_up_is_taken_up_again(checkout, moment, environments):
    """Cut off while pip was writing, the environment cannot be trusted; before that, it can."""
    process = checkout.start("demo", FAKE_PIP=moment)
    wait_for(lambda: "sleep" in programs_of(process))
    kill_group(process, signal.SIGKILL)
    assert checkout.run("demo").stdout == "monsoon runs: demo\n"
    assert len(checkout.calls("venv")) == environments


def test_interrupt_is_answered_and_recovered_from(checkout):
    process = checkout.start("demo", FAKE_PIP="hang-late")
    wait_for(lambda: "sleep" in programs_of(process))  # between its fork and its exec a signal would be lost
    out, err = kill_group(process, signal.SIGINT)
    assert process.returncode == 130
    assert "interrupted" in err
    assert out == ""
    assert checkout.run("demo").returncode == 0


@pytest.mark.slow
def test_two_at_once_set_up_once(checkout):
    both = [checkout.start("demo", FAKE_PIP="slow") for _ in range(2)]
    told = [process.communicate(timeout=30) for process in both]
    assert [out for out, _ in told] == ["monsoon runs: demo\n"] * 2
    assert len(checkout.calls("venv")) == 1
    assert len(checkout.calls("pip")) == 1
    assert sum("waiting for another set-up" in err for _, err in told) == 1


@pytest.mark.slow
def test_a_pip_that_outlives_its_wrapper_is_waited_for(checkout):
    first = checkout.start("demo", FAKE_PIP="slow")
    wait_for(lambda: checkout.calls("pip"))
    first.kill()  # the wrapper alone
    assert checkout.run("demo").stdout == "monsoon runs: demo\n"
    assert len(checkout.calls("venv")) == 1
    first.communicate(timeout=30)
