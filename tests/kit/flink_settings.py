"""What any configuration of Flink for a streaming job has."""

from pathlib import Path


def assert_streaming(ours, parallelism):
    """A configuration has what the commands set, but for what depends on the machine."""
    from monsoon.pipelines.flink.local_cluster import streaming_settings

    there = streaming_settings(
        parallelism,
        checkpoints=Path("/opt/monsoon/state/checkpoints"),
        checkpoint_interval_ms=1_000,
        state_backend="rocksdb",
    )
    own = {"python.executable", "python.client.executable"}
    left_out = {"execution.runtime-mode", "parallelism.default", "taskmanager.numberOfTaskSlots"}
    left_out |= {"taskmanager.memory.network.max", "taskmanager.memory.network.min"}
    expected = {name: value for name, value in there.items() if name not in own | left_out}
    assert {name: ours.get(name) for name in expected} == expected
    assert {ours[name] for name in own} == {"/opt/monsoon/venv/bin/python"}
    assert all(isinstance(value, str) for value in ours.values()), "a bare number or word may be another type in YAML"
