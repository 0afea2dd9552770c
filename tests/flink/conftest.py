"""One log for the JVM that all tests of a process share."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def flink_log(tmp_path_factory):
    """Where the JVM of this process logs to; commands started as processes keep logs of their own."""
    file = tmp_path_factory.mktemp("flink") / "flink.log"
    os.environ["MONSOON_FLINK_LOG"] = str(file)
    yield file
    del os.environ["MONSOON_FLINK_LOG"]
