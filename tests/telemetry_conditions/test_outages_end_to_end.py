"""An outage as OffShift judges it: reports of it from outside, and what the riders' own phones say."""

import h3
import pytest
from kit import LAT, LON, at, reading_record
from kit.graph import locally
from kit.streams import policy_record, report, write_streams

from monsoon.pipelines.results import Account, Outcome, summarized
from monsoon.sources.model_files import load_model

RIDERS = 60
HERE = h3.latlng_to_cell(LAT, LON, 8)


def rider(name, until, **fields):
    """Reports every 10 min from an hour before noon on, from one place, as of a phone that moves."""
    place = {"lat": LAT, "lon": LON, "app_state": "online", "platform": "zomato", "cell": None, "bssids": None}
    return [report(name, float(minutes), **(place | fields)) for minutes in range(-60, until + 1, 10)]


def outage_readings(*minutes, value=600, **fields):
    return [
        reading_record("outage_reports_30m", value, each, platform="zomato", provider="downdetector", **fields)
        for each in minutes
    ]


def storm(telemetry, readings, policies=None, since=-3000):
    """Every rider holds a policy, from minute `since` on."""
    holder = {"product": "offshift", "plan": "monthly_pro", "platform": "zomato"}
    riders = sorted({each["worker_id"] for each in telemetry})
    return {
        "telemetry": telemetry,
        "oracle_readings": readings,
        "subscriptions": policies or [policy_record(name, f"p-{name}", since, **holder) for name in riders],
    }


def silent_riders(until=-10, count=RIDERS, **fields):
    return [each for n in range(count) for each in rider(f"w{n}", until, **fields)]


@pytest.fixture
def outages(tmp_path):
    """(records) -> the last revision of each of OffShift's outages, of a replay on the local engine."""

    def replayed(records):
        _, outcome = locally(write_streams(tmp_path / "in", records))
        found = {
            record["disruption_id"]: record
            for record in outcome.disruptions
            if (record["product"], record["trigger"]) == ("offshift", "outage")
        }
        return [(record["start"], record["state"]) for record in found.values()]

    return replayed


def test_riders_who_fall_silent_confirm_it(outages):
    # Last reports at -10: silent for half an hour from 20 on, excluded its start.
    assert outages(storm(silent_riders(), outage_readings(19, 20, 25))) == [(at(20), "ended")]


def test_nobody_silent_or_too_few_confirm_nothing(outages):
    assert outages(storm(silent_riders(until=60), outage_readings(20, 30, 40))) == []


def test_too_few(outages):
    assert outages(storm(silent_riders(count=39), outage_readings(20, 30))) == []


def test_another_platforms_riders_do_not_count(outages):
    assert outages(storm(silent_riders(platform="swiggy"), outage_readings(20, 30))) == []


def test_too_few_reports_of_an_outage(outages):
    assert outages(storm(silent_riders(), outage_readings(20, 30, value=499))) == []


@pytest.mark.parametrize(("since", "confirmed"), [(20 - 24 * 60, [at(20)]), (21 - 24 * 60, [at(21)]), (-30, [])])
def test_riders_count_from_a_day_after_their_cover_began(outages, since, confirmed):
    found = outages(storm(silent_riders(), outage_readings(20, 21), since=since))
    assert [start for start, _ in found] == confirmed


def test_accounts_without_a_policy_are_no_quorum(outages):
    holder = {"product": "offshift", "plan": "monthly_pro", "platform": "zomato"}
    one = [policy_record("w0", "p0", -3000, **holder)]
    assert outages(storm(silent_riders(), outage_readings(20, 30), one)) == []


def test_riders_who_withhold_their_sensors_are_no_quorum(outages):
    assert outages(storm(silent_riders(accel_var=None), outage_readings(20, 30))) == []


def test_riders_at_rest_on_one_phone_are_no_quorum(outages):
    # Still phones, one device: (0 + 0.20 + 0.10 + 0.10 / 60) / 0.60 = 0.5028 counts, and 60 of them make no 40.
    assert outages(storm(silent_riders(accel_var=1e-5, device_id="onephone"), outage_readings(20, 30))) == []


def test_where_every_platform_stops_it_is_no_outage(outages):
    others = [each for n in range(RIDERS) for each in rider(f"x{n}", -10, platform="swiggy")]
    assert outages(storm(silent_riders() + others, outage_readings(20, 30))) == []


def test_where_the_others_work_on_it_is_one(outages):
    others = [each for n in range(RIDERS) for each in rider(f"x{n}", 60, platform="swiggy")]
    assert outages(storm(silent_riders() + others, outage_readings(20, 30))) == [(at(20), "ended")]


def test_a_correction_asks_about_the_past(outages):
    few = outage_readings(20, value=10, reading_id="corrected")
    more = outage_readings(20, value=700, reading_id="corrected", revision=1, issued_time=at(90))
    assert outages(storm(silent_riders(), few)) == []
    assert outages(storm(silent_riders(), few + more)) == [(at(20), "ended")]
    less = outage_readings(20, value=10, reading_id="corrected", revision=2, issued_time=at(200))
    assert outages(storm(silent_riders(), few + more + less)) == [(at(20), "withdrawn")]


def test_the_summary_names_the_models_that_were_asked(products):
    asked = summarized(Account(), Outcome(), {"offshift": products["offshift"]}, {"claim_anomaly": "c"})
    assert asked["models"] == {"claim_anomaly": "c", "outage": load_model("outage").version}
    assert summarized(Account(), Outcome(), {"gic": products["gic"]}, {})["models"] == {}


def test_a_bandh_needs_the_orders_to_drop(tmp_path):
    holder = {"product": "jugaad", "plan": "standard", "platform": "zomato", "orders_per_hour": 4.0}
    curfew = [
        reading_record("curfew", 1, minutes, provider=provider, quality="secondary")
        for minutes in (0, 30)
        for provider in ("admin", "news", "police")
    ]
    confirmed = {}
    for orders in (1, 2):
        telemetry = rider("w0", 0, app_state="online", orders_completed=0)
        telemetry[-2]["orders_completed"] = orders
        records = {
            "telemetry": telemetry,
            "oracle_readings": curfew,
            "subscriptions": [policy_record("w0", "p0", **holder)],
        }
        _, outcome = locally(write_streams(tmp_path / str(orders), records))
        confirmed[orders] = {
            record["start"] for record in outcome.disruptions if record["trigger"] == "bandh" and record["zone"] == HERE
        }
    # 1 of 4 orders at noon; 2 of 4 then, still so at half past.
    assert confirmed == {1: {at(0)}, 2: set()}
