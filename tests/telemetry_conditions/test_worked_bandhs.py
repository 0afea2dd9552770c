"""The bandhs of the worked examples: curfew readings and the telemetry together, as the local engine has them."""

import json

import pytest

from monsoon.pipelines.local.candidates import Candidates
from monsoon.pipelines.local.replay import read_inputs


@pytest.mark.parametrize("period", ["901", "902"])
def test_every_bandh_and_no_other(shared, products, period):
    folder = shared / "examples" / f"jugaad-{period}"
    inputs = read_inputs(folder, products)
    claimants = Candidates(products["jugaad"], inputs.shared, inputs.readings, inputs.subscriptions)
    found = {}
    for disruption in claimants.disruptions:
        for record in disruption.records("jugaad"):
            if record["trigger"] == "bandh":
                found[record["zone"], record["start"]] = record
    lines = (folder / "expected" / "disruptions.jsonl").read_text().splitlines()
    expected = [record for record in map(json.loads, lines) if record["trigger"] == "bandh"]
    assert len(expected) > 10
    assert found.keys() == {(record["zone"], record["start"]) for record in expected}
    for want in expected:
        got = found[want["zone"], want["start"]]
        names = ["confirmed_at", "state", *(["absent_since", "end"] if want["state"] == "ended" else [])]
        assert {name: got[name] for name in names} == {name: want[name] for name in names}
