"""How pytest-xdist shares out the whole suite: tests of one kind of cluster stay in one process, which starts it once
and has at most one at a time; all others go by file to whoever is free."""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

CLUSTERS = {
    "Flink's mini cluster": ("tests/flink/", "tests/examples/"),
    "a stack with brokers": ("tests/live/", "tests/stack/", "tests/client/"),
}
"""By kind, the folders of its tests."""


def scope_of(nodeid: str) -> str:
    """What a test shares a process with: the kind of its cluster, or its file."""
    return next((kind for kind, folders in CLUSTERS.items() if nodeid.startswith(folders)), nodeid.partition("::")[0])


class ByCluster(LoadScopeScheduling):
    """Clusters first, since they take longest: the order is that of `clusters_first`."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def clusters_first(items: list[pytest.Item]) -> None:
    """Orders tests by scope, those with a cluster before all others."""
    items.sort(key=lambda item: scope_of(item.nodeid) not in CLUSTERS)
