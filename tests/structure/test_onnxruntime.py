"""onnxruntime 1.31 writes a device id below the home folder and looks up its maker's host, unless it is told not to."""

import os
import subprocess
import sys

import pytest
from kit.examples import mostly_slow

FOREST = "transforms/scoring/forest.py"

WATCHED = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print("told" if os.environ.get("ORT_DISABLE_TELEMETRY") == "1" else "not told", flush=True)
sys.meta_path.insert(0, Watch())
"""


def test_one_module_imports_it(modules):
    """The one that tells it first."""
    importing = {
        module.path.as_posix()
        for module in modules
        for name, _ in module.imports()
        if name.split(".")[0] == "onnxruntime"
    }
    assert importing == {FOREST}


@pytest.mark.parametrize(
    "program",
    mostly_slow(
        [
            "import monsoon.pipelines.local.replay",
            "import monsoon.transforms.scoring",
            "import monsoon.models",
            "import monsoon.pipelines.training.claim_anomaly",
            "from monsoon.pipelines.topology import OperatorFactory",  # as a Python worker of Flink does
        ]
    ),
)
@pytest.mark.parametrize("inherited", mostly_slow([None, "0"]))
def test_it_is_told_before_it_is_imported_in_every_process(program, inherited):
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    if inherited is not None:
        env["ORT_DISABLE_TELEMETRY"] = inherited
    ending = "\nimport monsoon.transforms.scoring"
    done = subprocess.run(
        [sys.executable, "-c", WATCHED + program + ending], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "told\n"


def test_what_a_command_starts_is_told_as_well():
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    program = "import os, monsoon.cli.main; os.system('echo $ORT_DISABLE_TELEMETRY')"
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
