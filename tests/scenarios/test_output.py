"""The files of a scenario: the same bytes for a seed, records that the contracts accept, nothing of the other
generator's models."""

import ast
from pathlib import Path

import pytest

import monsoon.sources.scenarios as package
from monsoon.cli.main import main
from monsoon.sources.scenarios import answer_step_ups, build_labeled_scenario

MODELS = {"arrival", "city", "movement", "positioning", "radio", "sensors"}
"""The simulator's modules that say how riders move and what phones get wrong."""


def simulated(folder, *more):
    words = ["simulate", "--storm", str(Path(__file__).with_name("storm.yaml")), "--generator", "scenarios"]
    return main([*words, "--riders", "24", "--attackers", "0.5", "--output", str(folder), *more])


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_seed_gives_the_same_bytes_and_another_others(tmp_path, capsys):
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert simulated(tmp_path / name, "--seed", seed) == 0
    assert "24 riders, 12 of them attackers" in capsys.readouterr().out
    first, again, other = (contents(tmp_path / name) for name in ("a", "b", "c"))
    assert first == again
    assert first[Path("telemetry/part-00000.jsonl")] != other[Path("telemetry/part-00000.jsonl")]
    assert {path.parts[0] for path in first} == {
        "labels.csv", "oracle_readings", "reference", "subscriptions", "telemetry",
    }  # fmt: skip


def test_a_scenario_with_answers_is_replaced_whole(tmp_path):
    assert simulated(tmp_path / "a") == 0
    fresh = contents(tmp_path / "a")
    claim = {"claim_id": "c1", "revision": 0, "status": "step_up", "decided_at": 0, "worker_id": "w", "policy_id": "p"}
    assert answer_step_ups(tmp_path / "a", [claim, claim | {"revision": 1, "decided_at": 9}]) == 1
    assert answer_step_ups(tmp_path / "a", [claim]) == 0
    assert len(contents(tmp_path / "a")) == len(fresh) + 1
    assert simulated(tmp_path / "a") == 0
    assert contents(tmp_path / "a") == fresh


def test_some_never_answer(tmp_path):
    claim = {"revision": 0, "status": "step_up", "decided_at": 0, "policy_id": "p"}
    claims = [claim | {"claim_id": f"c{worker}", "worker_id": worker} for worker in "ab"]
    (tmp_path / "labels.csv").write_text("worker_id,kind,condition\na,way_in,way_4_hold_runs_out\nb,honest,ordinary\n")
    assert answer_step_ups(tmp_path, claims) == 1
    assert '"cb"' in (tmp_path / "confirmations/part-00000.jsonl").read_text()


def test_rows_are_counted_by_the_other_generator_alone(tmp_path, capsys):
    words = ["simulate", "--storm", "delhi-2024-06-28", "--generator", "scenarios", "--rows", "1000"]
    assert main([*words, "--output", str(tmp_path / "a")]) == 1
    assert "Give --riders" in capsys.readouterr().err


def test_every_record_is_valid(replayed):
    """But for the impossible temperatures of way 10."""
    streams = replayed.summary["streams"]
    assert {name: each["reasons"] for name, each in streams.items() if each["reasons"]} == {
        "oracle_readings": {"out_of_range:value": 4}
    }
    assert all(not each["nulled"] and not each["ignored"] for each in streams.values())
    assert set(streams) == {"telemetry", "oracle_readings", "subscriptions", "confirmations"}


@pytest.mark.parametrize(("counts", "words"), [({"honest": 3}, "no condition 'honest'"), ({}, "no riders")])
def test_numbers_that_cannot_be_are_refused(storm, counts, words):
    with pytest.raises(ValueError, match=words):
        build_labeled_scenario(storm, 1, 1, counts=counts)


def test_no_model_of_motion_or_noise_is_shared():
    wrong = []
    for path in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            package_name, _, module = (getattr(node, "module", None) or "").rpartition(".")
            if package_name == "monsoon.sources.simulator" and module in MODELS:
                wrong.append(f"{path.name} imports {module}")
    assert wrong == []
