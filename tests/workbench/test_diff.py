"""Two outputs compared: who gains and loses, and the first input that differs, of changes made on purpose."""

import json
import shutil

import polars as pl
import pytest

from monsoon.cli.main import main
from monsoon.pipelines.local.replay import replay
from monsoon.pipelines.whatif import points_of
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.transforms.product.variations import parse_variation
from monsoon.workbench import load
from monsoon.workbench.diff import SCHEMA, differences, riders


def changed(folder, target, stream, change):
    """A copy of an output whose records of a stream are what `change` leaves of them."""
    shutil.copytree(folder, target)
    part = target / stream / "part-00000.jsonl"
    records = [json.loads(line) for line in part.read_text().splitlines()]
    part.write_text("".join(json.dumps(each) + "\n" for each in change(records)))
    return load(target)


def last_of(records, claim_id, **fields):
    """The records with fields of the last revision of a claim set."""
    (last,) = [each for each in records if each["claim_id"] == claim_id][-1:]
    for name, value in fields.items():
        last[name] = last[name] | value if isinstance(value, dict) else value
    return records


@pytest.fixture
def base(small_outputs):
    return load(small_outputs["jsonl"])


@pytest.fixture
def claim(base):
    """The id of a claim that was paid with its last revision."""
    paid = base.polars("payouts")["claim_id"]
    return base.polars("claims").filter(pl.col("claim_id").is_in(paid.implode()))["claim_id"][-1]


def test_an_output_and_itself(base, small_outputs):
    table = differences(base, load(small_outputs["parquet"]))
    assert table.is_empty()
    assert table.schema == SCHEMA


@pytest.mark.parametrize(
    ("fields", "first", "values"),
    [
        ({"features": {"claims_7d": 9.0}, "status": "manual_review"}, "features.claims_7d", "9.0"),
        ({"anomaly_score": 0.9, "status": "manual_review"}, "anomaly_score", "0.9"),
        ({"payout_terms": {"gross_inr": 7.5}, "payout_inr": 7.5}, "payout_terms.gross_inr", "7.5"),
        ({"product_version": "0" * 12, "reasons": ["once"]}, "product_version", f'"{"0" * 12}"'),
        ({"reasons": ["once"]}, "reasons", '["once"]'),
        ({"model_version": "m2", "anomaly_score": 0.9, "status": "step_up"}, "model_version", '"m2"'),
    ],
)
def test_the_first_input_that_differs(base, claim, tmp_path, fields, first, values):
    other = changed(base.folder, tmp_path / "b", "claims", lambda records: last_of(records, claim, **fields))
    (row,) = differences(base, other).iter_rows(named=True)
    assert (row["claim_a"], row["claim_b"], row["first_difference"], row["value_b"]) == (claim, claim, first, values)
    assert row["change_inr"] == 0.0
    assert differences(other, base)["value_a"].to_list() == [values]


def test_a_feature_that_changes_no_decision_is_no_difference(base, claim, tmp_path):
    fields = {"features": {"claims_7d": 9.0}, "product_version": "0" * 12}
    other = changed(base.folder, tmp_path / "b", "claims", lambda records: last_of(records, claim, **fields))
    assert differences(base, other).is_empty()


def test_a_disruption_comes_before_what_follows_of_it(base, claim, tmp_path):
    """But what was revised after the decision is no input of it."""
    disruption = base.polars("claims").filter(pl.col("claim_id") == claim)["disruption_id"][0]

    def more_severe(records):
        return [each | {"severity": 99.0} if each["disruption_id"] == disruption else each for each in records]

    def ended_otherwise(records):
        return [each | {"severity": 99.0} if each["state"] == "ended" else each for each in records]

    review = {"features": {"claims_7d": 9.0}, "status": "manual_review"}
    for number, (change, first) in enumerate(
        [(more_severe, "disruption.severity"), (ended_otherwise, "features.claims_7d")]
    ):
        changed(base.folder, tmp_path / f"{number}", "disruptions", change)
        other = changed(
            tmp_path / f"{number}", tmp_path / f"b{number}", "claims", lambda r: last_of(r, claim, **review)
        )
        assert differences(base, other)["first_difference"].to_list() == [first]


def test_payouts_alone(base, claim, tmp_path):
    """As where a reserve pays for fewer."""
    other = changed(
        base.folder, tmp_path / "b", "payouts", lambda records: [each for each in records if each["claim_id"] != claim]
    )
    table = differences(base, other)
    paid = base.polars("payouts").filter(pl.col("claim_id") == claim)["amount_paise"].sum() / 100
    assert table.select("first_difference", "change_inr", "paid_b_inr").rows() == [("payouts", -paid, 0.0)]
    assert riders(table)["change_inr"].to_list() == [-paid]


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_claim_that_one_output_lacks(base, claim, tmp_path, confirmed):
    disruption = base.polars("claims").filter(pl.col("claim_id") == claim)["disruption_id"][0]
    changed(base.folder, tmp_path / "some", "claims", lambda all_of: [r for r in all_of if r["claim_id"] != claim])
    changed(tmp_path / "some", tmp_path / "b", "payouts", lambda all_of: [r for r in all_of if r["claim_id"] != claim])
    other = load(tmp_path / "b")
    if not confirmed:
        left = lambda all_of: [r for r in all_of if r["disruption_id"] != disruption]  # noqa: E731
        other = changed(tmp_path / "b", tmp_path / "c", "disruptions", left)
    found = [row for row in differences(base, other).iter_rows(named=True) if row["claim_a"] == claim]
    assert [row["first_difference"] for row in found] == ["candidate" if confirmed else "disruption"]
    assert found[0]["claim_b"] is found[0]["status_b"] is None


def test_other_terms(small_input, base, tmp_path, capsys):
    """Rupees by rider are those of the payouts; a claim whose disruption began at another time is matched."""
    (point,), _ = points_of([parse_variation("kawaach.triggers.rain.partial=90")])
    replay(small_input, tmp_path / "b", load_products() | point.products(), load_products(), load_scorer(None))
    other = load(tmp_path / "b")
    table = differences(base, other)
    paid = [
        dict(each.polars("payouts").group_by("worker_id").agg(pl.col("amount_paise").sum()).rows())
        for each in (base, other)
    ]
    changes = {
        worker: (paid[1].get(worker, 0) - paid[0].get(worker, 0)) / 100 for worker in paid[0].keys() | paid[1].keys()
    }
    assert dict(riders(table).rows()) == {worker: change for worker, change in changes.items() if change}
    later = table.filter(pl.col("claim_a") != pl.col("claim_b"))
    assert set(later["first_difference"]) == {"disruption.start"}
    assert len(later) > 0

    assert main(["diff", str(base.folder), str(tmp_path / "b"), "--output", str(tmp_path / "diff")]) == 0
    said = capsys.readouterr().out
    assert f"{len(table)} claims are decided or paid differently" in said
    assert "disruption.start" in said
    assert pl.read_parquet(tmp_path / "diff" / "diff.parquet").equals(table)


def test_a_folder_that_is_no_output(base, tmp_path, capsys):
    assert main(["diff", str(base.folder), str(tmp_path)]) == 1
    assert "no summary.json" in capsys.readouterr().err
