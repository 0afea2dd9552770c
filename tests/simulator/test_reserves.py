"""The stream of reserves: written where a storm file states some, as their contract says."""

import json

import h3
import jsonschema

from monsoon.sources.simulator import build_scenario, load_storm, simulate


def test_reserves_are_the_storm_files(tmp_path, root):
    storm = load_storm("delhi-2024-07-31-cloudburst")
    simulate(storm, 2, 1, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "reserves/part-00000.jsonl").read_text().splitlines()]
    place = storm.places["mayur_vihar"]
    assert [row["amount_paise"] for row in rows] == [250_000, 20_000_000]
    assert {row["cell"] for row in rows} == {h3.latlng_to_cell(place.lat, place.lon, 5)}
    assert {(row["product"], row["day"]) for row in rows} == {("gic", "2024-07-31")}
    assert [row["event_time"] for row in rows] == [storm.time_ms(at) for at in ("2024-07-31 00:00", "2024-08-01 00:30")]
    contract = json.loads((root / "contracts/reserve.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(contract)
    for row in rows:
        validator.validate(row)


def test_a_storm_without_reserves_has_none(delhi):
    assert build_scenario(delhi, 1, 1).reserves.is_empty()
