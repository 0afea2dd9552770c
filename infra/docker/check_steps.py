#!/usr/bin/env python3
"""Executes the steps of a Dockerfile in plain root folders, where there is no container engine.

    sudo python3 infra/docker/check_steps.py infra/docker/Dockerfile.job --folder /var/tmp/steps

Each stage is a copy of a minimal Debian, made once with debootstrap, in which RUN is called with chroot. FROM a Debian,
RUN, COPY, ENV, WORKDIR and USER are executed; EXPOSE, ENTRYPOINT and CMD are data. `--host-file` brings a file of this
machine into each root, such as pip.conf, where this machine needs it to reach its package indexes.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CONTEXT = Path(__file__).resolve().parents[2]
EXECUTED = {"FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER"}
DATA = {"EXPOSE", "ENTRYPOINT", "CMD"}


class Instruction(NamedTuple):
    """`RUN`, and what follows it."""

    name: str
    words: str

    @property
    def sources_and_target(self) -> tuple[str | None, list[str], str]:
        """Of COPY: the stage it copies from, if any, the sources, the target."""
        words = shlex.split(self.words)
        stage = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
        return stage, words[:-1], words[-1]


def instructions(dockerfile: Path) -> Iterator[Instruction]:
    """One by one; a line is an instruction. Raises ValueError for one that is unknown."""
    for line in dockerfile.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, words = line.partition(" ")
            if name not in EXECUTED | DATA:
                raise ValueError(f"{dockerfile}: {name} is no instruction that is known here")
            yield Instruction(name, words.strip())


class Stage:
    """A root folder, and what was said of its environment."""

    def __init__(self, base: Path, root: Path, host_files: list[str]) -> None:
        subprocess.run(["cp", "--archive", "--reflink=auto", str(base), str(root)], check=True)
        self.root = root
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.folder, self.user = "/", "root"
        for each in host_files:
            source, _, target = each.partition(":")
            there = self.inside(target or source)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, there, dirs_exist_ok=True) if Path(source).is_dir() else shutil.copy(source, there)

    def inside(self, path: str) -> Path:
        """A path of the root, seen from outside; relative ones are below the working folder."""
        return self.root / (Path(self.folder) / path).as_posix().lstrip("/")

    def set(self, words: str) -> None:
        """ENV."""
        self.environment |= dict(pair.split("=", 1) for pair in shlex.split(words))

    def run(self, command: str) -> None:
        """RUN, as `sh -c` in the root, with /proc and /dev."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        inner = f"cd {shlex.quote(self.folder)} && {command}"
        mounts = f"mount -t proc proc {self.root}/proc && mount --rbind /dev {self.root}/dev"
        chroot = [
            "chroot",
            f"--userspec={self.user}",
            str(self.root),
            "/usr/bin/env",
            "-i",
            *variables,
            "/bin/sh",
            "-ec",
        ]
        script = f"{mounts} && exec {shlex.join([*chroot, inner])}"
        # In a mount namespace of its own, so that nothing stays mounted.
        subprocess.run(["unshare", "--mount", "--fork", "/bin/sh", "-ec", script], check=True, stdin=subprocess.DEVNULL)

    def copy(self, source: Path, target: str) -> None:
        """COPY of one source, with the meaning of Docker: the content of a folder, a file below a folder."""
        there = self.inside(target)
        if source.is_dir():
            shutil.copytree(source, there, symlinks=True, dirs_exist_ok=True, ignore=_ignored)
        else:
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, there / source.name if there.is_dir() else there)


def _ignored(folder: str, names: list[str]) -> set[str]:
    """What .dockerignore keeps out of the context."""
    if not Path(folder).is_relative_to(CONTEXT):
        return set()
    patterns = (CONTEXT / ".dockerignore").read_text(encoding="utf-8").split()
    at_top = [each for each in patterns if not each.startswith("**/")] if Path(folder) == CONTEXT else []
    anywhere = [each.removeprefix("**/") for each in patterns if each.startswith("**/")]
    return {name for name in names if any(fnmatch.fnmatch(name, each) for each in (*at_top, *anywhere))}


def execute(dockerfile: Path, folder: Path, host_files: list[str]) -> Path:
    """Runs all steps; returns the root folder of the last stage."""
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for number, step in enumerate(instructions(dockerfile)):
        started = time.monotonic()
        print(f"{number}: {step.name} {step.words}", flush=True)
        if step.name == "FROM":
            image, _, name = step.words.partition(" AS ")
            stage = Stage(_debian(image, folder), folder / f"{dockerfile.name}-{len(stages)}", host_files)
            stages[name or str(len(stages))] = stage
        elif stage is None:
            raise ValueError(f"{dockerfile}: {step.name} before FROM")
        elif step.name == "RUN":
            stage.run(step.words)
        elif step.name == "COPY":
            origin, sources, target = step.sources_and_target
            for source in sources:
                stage.copy(CONTEXT / source if origin is None else stages[origin].inside(source), target)
        elif step.name == "ENV":
            stage.set(step.words)
        elif step.name == "WORKDIR":
            stage.folder = step.words
            stage.inside(".").mkdir(parents=True, exist_ok=True)
        elif step.name == "USER":
            stage.user = step.words
        print(f"   {time.monotonic() - started:.1f} s", flush=True)
    assert stage is not None
    (folder / f"{dockerfile.name}.environment.json").write_text(json.dumps(stage.environment, indent=1))
    return stage.root


def _debian(image: str, folder: Path) -> Path:
    distribution, _, release = image.partition(":")
    if distribution != "debian":
        raise ValueError(f"FROM {image}: only Debian can be made here")
    root = folder / release
    if not root.exists():
        name = release.removesuffix("-slim")
        subprocess.run(["debootstrap", "--variant=minbase", name, f"{root}.partial"], check=True)
        Path(f"{root}.partial").rename(root)
    return root


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dockerfile", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="for the roots: some 5 GB, root's, without nodev")
    parser.add_argument("--host-file", action="append", default=[], metavar="SOURCE[:TARGET]")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    print(f"done: {execute(args.dockerfile, args.folder.absolute(), args.host_file)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
