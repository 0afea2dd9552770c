"""One stack for all tests that play a folder through it."""

import pytest
from kit.broker import need_jars

from monsoon.pipelines.stack.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """A stack of a TaskManager with two slots."""
    need_jars()
    running = Stack(tmp_path_factory.mktemp("live") / "stack")
    try:
        running.up(1, 2)
        yield running
    finally:
        running.down()
