"""A small storm, replayed in both formats."""

import pytest
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main


@pytest.fixture(scope="session")
def small_input(tmp_path_factory):
    return write_streams(tmp_path_factory.mktemp("in"), small_storm(every_min=2.0))


@pytest.fixture(scope="session")
def small_outputs(small_input, tmp_path_factory):
    """The output folders by format."""
    folder = tmp_path_factory.mktemp("out")
    for file_format in ("jsonl", "parquet"):
        words = ["replay", "--input", str(small_input), "--output", str(folder / file_format)]
        assert main([*words, "--format", file_format]) == 0
    return {file_format: folder / file_format for file_format in ("jsonl", "parquet")}
