"""`monsoon explain`: the same from JSON Lines and Parquet, and what it says where it can say nothing."""

import json

import pytest
from kit import at, terms, update
from kit.explained import records_of
from kit.rider import Rider
from msgspec.structs import replace

from monsoon.cli.main import main
from monsoon.sinks.folder import OutputFolder

OPENED = update("d", 0, "rain", severity=81.0, providers=2, terms=terms(trust_tier=3))
RISEN = replace(OPENED, at_ms=at(30), level="full")


def write(folder, file_format="jsonl"):
    """An output with two claims of a rider; returns the records of the first."""
    other = update("other", 2000)
    rider = Rider().at(OPENED).at(RISEN).at(other)
    records = records_of(rider, [OPENED, RISEN])
    more = records_of(rider, [other])
    with OutputFolder(folder, file_format=file_format) as output:
        output.write("disruptions", [*records.disruptions, *more.disruptions])
        output.write("claims", rider.claims[::-1])
        output.write("payouts", rider.payouts)
        output.write("notifications", [*records.notifications, *more.notifications])
        for stream in ("reserve_alerts", "syndicate_alerts", "dead_letters"):
            output.write(stream, [])
        output.finish({})
    return records


@pytest.fixture
def output(tmp_path):
    """(folder, the records of its first claim)"""
    return tmp_path / "out", write(tmp_path / "out")


def explained(capsys, folder, *words):
    code = main(["explain", "--output", str(folder), *words])
    printed = capsys.readouterr()
    assert code == bool(printed.err)
    return printed.out or printed.err


def test_the_same_from_both_formats(capsys, output, tmp_path):
    folder, records = output
    write(tmp_path / "parquet", "parquet")
    text = explained(capsys, folder, records.claim["claim_id"])
    assert text == explained(capsys, tmp_path / "parquet", records.claim["claim_id"])
    assert "Paid in all, by 2 payout records" in text
    assert "Other claims of the rider" in text
    assert all(each["reference_id"] in text for each in records.payouts)


def test_as_of_a_revision(capsys, output):
    folder, records = output
    name = records.claim["claim_id"]
    assert "Paid in all, by 1 payout record " in explained(capsys, folder, name, "--revision", "0")
    assert "It has 0, 1" in explained(capsys, folder, name, "--revision", "2")


def test_as_json(capsys, output):
    folder, records = output
    found = json.loads(explained(capsys, folder, records.claim["claim_id"], "--json"))
    assert found["sections"][0]["title"] == f"Claim {records.claim['claim_id']}, revision 1"
    assert found["records"]["payouts"] == list(records.payouts)


def test_the_folder_may_be_one_that_cannot_be_written(capsys, output):
    folder, records = output
    (folder / "notes.txt").touch()
    assert "Paid in all" in explained(capsys, folder, records.claim["claim_id"])


def test_an_unknown_claim_is_told_with_the_one_that_was_meant(capsys, output):
    folder, records = output
    name = records.claim["claim_id"]
    for meant in (name[:8], name.upper(), name[:-1] + "0"):
        assert f"Did you mean {name}?" in explained(capsys, folder, meant)
    assert "no claim 'zz' among its 2. claims/ has them" in explained(capsys, folder, "zz")


def damage_of_a_line(folder):
    path = folder / "claims" / "part-00000.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    return "claims/part-00000.jsonl, line 3: no record of claims"


def damage_of_a_field(folder):
    path = folder / "payouts" / "part-00000.jsonl"
    path.write_text(path.read_text().replace('"amount_paise":25000', '"amount_paise":"x"'))
    return 'amount_paise is "x"'


def damage_of_a_feature(folder):
    path = folder / "claims" / "part-00000.jsonl"
    path.write_text(path.read_text().replace('"features":{}', '"features":{"claims_7d":[]}'))
    return "features.claims_7d is []"


def damage_of_a_required_field(folder):
    path = folder / "disruptions" / "part-00000.jsonl"
    path.write_text(path.read_text().replace('"severity"', '"severe"'))
    return "severity is missing"


def damage_of_a_stream(folder):
    (folder / "payouts" / "part-00000.jsonl").unlink()
    (folder / "payouts").rmdir()
    return "payouts: the folder of a stream is missing"


def damage_of_the_summary(folder):
    (folder / "summary.json").unlink()
    return "no summary.json"


@pytest.mark.parametrize(
    "damage",
    [
        damage_of_a_line,
        damage_of_a_field,
        damage_of_a_feature,
        damage_of_a_required_field,
        damage_of_a_stream,
        damage_of_the_summary,
    ],
)
def test_a_damaged_output_is_told_in_a_line(capsys, output, damage):
    folder, records = output
    what = damage(folder)
    told = explained(capsys, folder, records.claim["claim_id"])
    assert what in told
    assert told.count("\n") == 1
    assert "replay its input again" in told


def test_a_parquet_file_that_is_none_is_told(capsys, tmp_path):
    records = write(tmp_path / "out", "parquet")
    (tmp_path / "out" / "claims" / "part-00000.parquet").write_bytes(b"PAR1")
    assert "no Parquet file" in explained(capsys, tmp_path / "out", records.claim["claim_id"])


def test_open_fields_may_hold_anything(capsys, output):
    """payout_terms are open: what is not as expected there is not stated, and no error."""
    folder, records = output
    path = folder / "claims" / "part-00000.jsonl"
    text = path.read_text().replace('"inputs":{"daily_wage":500.0}', '"inputs":[1]')
    text = text.replace('"trust_tier":3', '"trust_tier":"x"').replace('"local_day":{', '"local_day":7,"x":{')
    path.write_text(text.replace('"gross_inr":500.0', '"gross_inr":{}'))
    assert "does not state the steps" in explained(capsys, folder, records.claim["claim_id"])


def test_no_folder(capsys, tmp_path):
    assert "no such folder" in explained(capsys, tmp_path / "none", "c")
