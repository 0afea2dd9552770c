"""How pytest-xdist shares out the whole suite: tests with a cluster go to one process, which has at most one at a time;
all others go by file to the other."""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

WITH_CLUSTERS = ("tests/flink/", "tests/examples/", "tests/live/", "tests/stack/", "tests/client/")
_CLUSTERS = "clusters"


def scope_of(nodeid: str) -> str:
    """What a test shares a process with: all tests with a cluster, or those of its file."""
    return _CLUSTERS if nodeid.startswith(WITH_CLUSTERS) else nodeid.partition("::")[0]


class ByCluster(LoadScopeScheduling):
    """Clusters first, since they take longest: the order is that of `clusters_first`."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def clusters_first(items: list[pytest.Item]) -> None:
    """Orders tests by scope, those with a cluster before all others."""
    items.sort(key=lambda item: scope_of(item.nodeid) != _CLUSTERS)
