"""A small storm, replayed and with a feature store; each test erases from a copy."""

import shutil

import pytest
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main

KEY = "a secret of tests"


@pytest.fixture(scope="session")
def storm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("storm")
    write_streams(folder / "in", small_storm(), parts=3)
    words = ["replay", "--input", str(folder / "in"), "--output", str(folder / "out")]
    assert main([*words, "--feature-store", str(folder / "store")]) == 0
    return folder


@pytest.fixture
def place(storm, tmp_path, monkeypatch):
    monkeypatch.setenv("MONSOON_ERASURE_KEY", KEY)
    for name in ("in", "out", "store"):
        shutil.copytree(storm / name, tmp_path / name)
    return tmp_path
