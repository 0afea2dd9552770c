"""Tests with a cluster share a process; the folders that are named for it are there."""

from kit.scheduling import WITH_CLUSTERS, scope_of


def test_every_test_has_a_scope():
    live, flink = scope_of("tests/live/test_up.py::test_a"), scope_of("tests/flink/test_cluster.py::test_a[1]")
    assert live == flink != scope_of("tests/live_things/test_a.py::test_a")
    assert scope_of("tests/money/test_a.py::test_a[x::y]") == "tests/money/test_a.py"


def test_the_folders_exist(root):
    assert all((root / folder).is_dir() for folder in WITH_CLUSTERS)
