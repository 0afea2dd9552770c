"""A stack whose servers are programs that sleep."""

import sys

import pytest

from monsoon.pipelines.stack import stack as module
from monsoon.pipelines.stack.processes import StackProcess
from monsoon.pipelines.stack.stack import Stack

SERVERS = ("kafka", "taskmanager-1")


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """A stack whose servers are programs that sleep."""

    def start(self, taskmanagers, ha, progress):
        for name in SERVERS:
            StackProcess(self.folder, name).start([sys.executable, "-c", "import time; time.sleep(600)"])
        (self.folder / "kafka").mkdir(exist_ok=True)
        (self.folder / "kafka" / "data").touch()

    monkeypatch.setattr(Stack, "_start", start)
    monkeypatch.setattr(module, "_require_installed", lambda: None)
    made = Stack(tmp_path / "stack")
    yield made
    made.down()
