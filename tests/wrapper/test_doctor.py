"""`./monsoon doctor` where nothing, or half of it, is set up: it says so, and makes and fetches nothing."""

import shutil

import pytest


@pytest.fixture
def sources(checkout, root):
    """A checkout with its sources, never set up."""
    for init in root.glob("*/__init__.py"):
        name = init.parent.name
        if name != "tests":
            shutil.copytree(
                root / name, checkout.folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.onnx", "*.npy")
            )
    return checkout


def told(sources, *words):
    """The lines by what they are about, and the exit code; nothing is changed."""
    before = sorted(sources.folder.rglob("*"))
    calls = sources.calls()
    done = sources.run("doctor", *words)
    assert done.stderr == ""
    assert sources.calls() == calls
    assert sorted(sources.folder.rglob("*")) == before
    lines = [line.split(None, 2) for line in done.stdout.splitlines() if not line.startswith(" ")]
    return done.returncode, {line[1]: (line[0], line[2]) for line in lines[:-1]}


def test_on_a_fresh_checkout(sources):
    code, findings = told(sources)
    assert code == 0
    assert findings["python"][0] == "ok"
    assert findings["set-up"] == ("warning", "not set up, or not as setup.py and constraints.txt now say")
    assert {"disk", "index", "java", "jars", "ports"} <= findings.keys()


def test_when_a_set_up_was_cut_off(sources):
    sources.run("demo", FAKE_PIP="no-network")
    (sources.folder / ".venv" / "setup.log").touch()
    code, findings = told(sources)
    assert code == 0
    assert findings["set-up"] == ("warning", "a set-up was interrupted")


def test_when_packages_of_a_set_up_are_gone(sources):
    """The stamps say that core is installed; here its packages are not."""
    sources.run("demo")
    code, findings = told(sources)
    assert code == 1
    assert findings["versions"] == ("fault", "not as constraints.txt pins them: monsoon is not installed")


def test_folders_can_be_asked_about_only_when_set_up(sources, tmp_path):
    code, findings = told(sources, "--input", str(tmp_path), "--output", str(tmp_path / "out"))
    assert findings["input"][0] == "warning"
    assert "could not be checked" in findings["input"][1]
    assert code == 0


def test_without_a_python_the_wrapper_says_it(sources):
    (sources.path / "python3.11").unlink()
    done = sources.run("doctor")
    assert done.returncode == 1
    assert "found no Python on PATH" in done.stderr
