"""What a test needs of its surroundings: where that is not there it is skipped, saying so, and in CI it fails."""

import os

import pytest


def need(present: bool, absent: str) -> None:
    """Skips the test for the reason `absent` unless `present`; with CI=true, which promises all there is, it fails."""
    if present:
        return
    if os.environ.get("CI", "").lower() in ("", "0", "false"):
        pytest.skip(absent)
    pytest.fail(f"{absent}; CI is set, and nothing may be left out there", pytrace=False)
