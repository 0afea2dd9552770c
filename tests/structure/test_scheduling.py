"""Tests of one kind of cluster share a process; the folders that are named for it are there."""

from kit.scheduling import CLUSTERS, scope_of


def test_every_test_has_a_scope():
    stack, flink = scope_of("tests/live/test_up.py::test_a"), scope_of("tests/flink/test_cluster.py::test_a[1]")
    assert stack == scope_of("tests/client/test_with_broker.py::test_b") != flink
    assert scope_of("tests/money/test_a.py::test_a[x::y]") == "tests/money/test_a.py"


def test_the_folders_exist(root):
    for folders in CLUSTERS.values():
        assert all((root / folder).is_dir() for folder in folders)
