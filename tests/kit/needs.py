"""What a test needs of its surroundings: where that is not there it is skipped, saying so, and in CI it fails. And
what is known to fail."""

import os

import pytest


def known_to_fail(cause: str | None):
    """Marks of a test that fails for the reason `cause` until that is mended, and then fails by passing; None: none."""
    return pytest.mark.xfail(strict=True, reason=cause) if cause else ()


def need(present: bool, absent: str) -> None:
    """Skips the test for the reason `absent` unless `present`; with CI=true, which promises all there is, it fails."""
    if present:
        return
    if os.environ.get("CI", "").lower() in ("", "0", "false"):
        pytest.skip(absent)
    pytest.fail(f"{absent}; CI is set, and nothing may be left out there", pytrace=False)
