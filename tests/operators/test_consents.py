"""Who withdraws the consent to the use of his location: no later report of his is evidence, in either engine."""

import random
from typing import Any

import pytest
from kit import at
from kit.graph import PRODUCTS, Scripted, by_both_engines, locally, same
from kit.streams import in_order, small_storm, write_streams

LATER = {"type": "renewed", "event_id": "s-later"}


def storm(*events):
    """Four riders, of whom w1 states consents in these events besides what he stated at first."""
    records = small_storm()
    first = next(each for each in records["subscriptions"] if each["worker_id"] == "w1")
    for each in records["subscriptions"]:
        each["consents"] = ["location", "payout"]
    records["subscriptions"] += [first | LATER | {"event_time": at(minutes), **more} for minutes, more in events]
    return records


WITHDRAWN = {"consents": ["payout"]}


def test_later_reports_are_as_if_they_were_not_there(tmp_path):
    records = storm((-20, WITHDRAWN))
    found, _ = by_both_engines(write_streams(tmp_path / "in", records), PRODUCTS)
    without = records | {
        "telemetry": [
            each for each in records["telemetry"] if each["worker_id"] != "w1" or each["event_time"] < at(-20)
        ]
    }
    same(found, by_both_engines(write_streams(tmp_path / "without", without), PRODUCTS)[0])
    before = by_both_engines(write_streams(tmp_path / "before", storm()), PRODUCTS)[0]
    with pytest.raises(AssertionError):
        same(found, before)


@pytest.mark.parametrize(
    "events",
    [
        [(-20, WITHDRAWN)],
        [(-5_000, WITHDRAWN)],
        [(-20, WITHDRAWN), (10, {"event_id": "s-again", "consents": ["location"]})],
        [(-20, WITHDRAWN | {"product": "gic", "plan": "standard", "policy_id": "other"})],
        [(-20, WITHDRAWN), (-20, {"event_id": "s-same", "consents": ["location"]})],
    ],
)
def test_engines_agree(tmp_path, events):
    same(*by_both_engines(write_streams(tmp_path / "in", storm(*events)), PRODUCTS))


def test_nothing_later_is_kept_whichever_product_states_it(tmp_path):
    scripted = Scripted(tmp_path / "in", products=set(PRODUCTS) - {"offshift"})
    other = {"product": "offshift", "plan": "shift_pass", "policy_id": "other", "event_id": "s-other"}
    for stream, some in storm((-20, WITHDRAWN | other)).items():
        scripted.say(stream, some)
    scripted.graph.advance(at(10))
    assert "subscriptions" not in scripted.graph.collected().dead_letters
    for uid in ("riders-evidence", "witness-telemetry"):
        newest = newest_reports(scripted.graph.live[uid].values())
        assert newest["w1"] < at(-20) < newest["w2"], uid
        operators: Any = scripted.graph.live[uid].values()
        panes = [each._panes.frame(None) for each in operators]
        starts = [ms for frame in panes for ms in frame.filter(frame["worker_id"] == "w1")["pane_start_ms"].to_list()]
        assert max(starts, default=0) < at(-20)


def newest_reports(operators):
    """By rider the latest event time of the reports that are kept."""
    found = {}
    for operator in operators:
        for batch in operator._reports.between([(0, at(10_000))]):
            for worker, time_ms in zip(batch["worker_id"].tolist(), batch["event_time"].tolist(), strict=True):
                name = batch.words["worker_id"][worker]
                found[name] = max(found.get(name, 0), time_ms)
    return found


def test_state_of_riders_who_withdraw_nothing_is_cleared(tmp_path):
    scripted = Scripted(tmp_path / "in")
    for stream, some in storm((-20, WITHDRAWN)).items():
        scripted.say(stream, some)
    scripted.graph.advance(at(180))
    operators: Any = scripted.graph.live["riders-evidence"].values()
    books = [each._intake.consents for each in operators]
    stated = [event.worker_id for book in books for events in book._entries.values() for event in events]
    assert set(stated) == {"w1"}
    assert not any(book.holds_expiring_state for book in books)


@pytest.mark.parametrize("seed", range(2))
def test_watermark_by_watermark_and_restored(tmp_path, seed):
    records = storm((-20, WITHDRAWN), (15, {"event_id": "s-again", "consents": ["location"]}))
    by_time = sorted(
        ((each["event_time"], stream, each) for stream, some in records.items() for each in some),
        key=lambda entry: entry[0],
    )
    scripted, chance = Scripted(tmp_path / "in"), random.Random(seed)
    for start in range(0, len(by_time), 150):
        part = by_time[start : start + 150]
        scripted.graph.advance(part[0][0] - 1)
        for stream in records:
            mine = [record for _, of, record in part if of == stream]
            chance.shuffle(mine)
            if mine:
                scripted.say(stream, mine)
        if start % 450 == 0:
            scripted.restore()
    same(scripted.finish().outcome, locally(tmp_path / "in")[1])


def test_a_claim_goes_on_unmeasured(tmp_path):
    """As that of a rider who never reported: of the same decision, and nothing that reports tell is measured."""
    records = small_storm()
    for each in records["subscriptions"]:
        each |= {"daily_wage_inr": 500, "consents": ["payout"] if each["worker_id"] == "w0" else None}
    outcome, _ = by_both_engines(write_streams(tmp_path / "in", in_order(records)), PRODUCTS)
    claims = sorted(outcome.claims, key=lambda claim: (claim["decided_at"], claim["peril"], claim["revision"]))
    mine, silent = ([each for each in claims if each["worker_id"] == worker] for worker in ("w0", "w4"))
    assert mine
    for name in ("status", "reasons", "payout_inr", "features", "guard"):
        assert [each[name] for each in mine] == [each[name] for each in silent]
    assert not any(each["feature_reports"] or each["features"]["app_activity"] for each in mine)
