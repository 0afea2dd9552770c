"""What is in infra/, read once."""

import importlib.util

import pytest
import yaml


@pytest.fixture(scope="session")
def check_steps(root):
    """The module infra/docker/check_steps.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("check_steps", root / "infra" / "docker" / "check_steps.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def dockerfiles(root, check_steps):
    """The instructions of each, by the name of the image."""
    return {
        f"monsoon-{name}": list(check_steps.instructions(root / "infra" / "docker" / f"Dockerfile.{name}"))
        for name in ("job", "tools")
    }


@pytest.fixture(scope="session")
def yaml_of(root):
    """Reads a YAML file of infra/: the list of its documents."""
    return lambda path: list(yaml.safe_load_all((root / "infra" / path).read_text(encoding="utf-8")))
