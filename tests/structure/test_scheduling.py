"""Tests with a cluster share a process; what is named for it is there."""

from kit.scheduling import WITH_CLUSTERS, scope_of


def test_every_test_has_a_scope():
    live, flink = scope_of("tests/live/test_up.py::test_a"), scope_of("tests/flink/test_cluster.py::test_a[1]")
    assert live == flink != scope_of("tests/live_things/test_a.py::test_a")
    assert scope_of("tests/money/test_a.py::test_a[x::y]") == "tests/money/test_a.py"


def test_what_is_named_exists(root):
    for name in WITH_CLUSTERS:
        file, _, test = name.partition("::")
        assert f"def {test}(" in (root / file).read_text() if test else (root / file).exists()
