"""What every test shares: the checkout's root, the data beside the project, hypothesis's profiles."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from kit.examples import EXAMPLES
from kit.needs import need
from kit.scheduling import ByCluster, clusters_first

# A shell that starts the suite in its background has Ctrl-C ignored, and all that the suite starts would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


ROOT = Path(__file__).resolve().parent.parent

# Tests repeat exactly unless asked otherwise: HYPOTHESIS_PROFILE=explore looks for new counterexamples. Numbers of
# examples of single tests are in proportion to the profile's: kit.examples.
settings.register_profile("ci", derandomize=True, deadline=None, database=None, max_examples=EXAMPLES)
settings.register_profile("quick", settings.get_profile("ci"), max_examples=EXAMPLES // 5)
settings.register_profile("explore", deadline=None, max_examples=10 * EXAMPLES)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_xdist_make_scheduler(config, log):
    """For `--dist loadscope`, which `monsoon test --all` asks for."""
    return ByCluster(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_collection_modifyitems(config, items):
    """In xdist's workers, of whose order that scheduler makes its own."""
    if hasattr(config, "workerinput"):
        clusters_first(items)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and worked examples beside the checkout; where it is absent, the test is skipped, and
    in CI fails."""
    folder = ROOT.parent / "shared"
    need(folder.is_dir(), f"no real data and examples here: {folder.name}/ is not beside the checkout")
    return folder
