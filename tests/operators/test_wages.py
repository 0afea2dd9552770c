"""What a policy states beside what is usual: the same on both engines, however policies are spread over keys."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from kit import LAT, LON, at, reading_record, subscription_record
from kit.graph import Graph, locally, restored_again_and_again, same, settings_of
from kit.streams import in_order, policy_record, report, write_streams

MUMBAI = {"lat": LAT - 9.5, "lon": LON - 4.3}
RAIN = [(value, minutes) for value, minutes in ((30.0, m) for m in range(-100, 1, 20))] + [(0.0, 20)]


def wage_storm():
    """Curfew and rain in two cities: 21 riders in Delhi, three in Mumbai, each with a policy of kawaach and of jugaad;
    of each city one states three times what others do."""
    telemetry, policies = [], []

    def rider(name, wage, shift, where, **fields):
        telemetry.extend(report(name, minutes, **where) for minutes in range(-60, 60, 10))
        home = {"home_lat": where["lat"], "home_lon": where["lon"], "daily_wage_inr": wage, **fields}
        policies.append(policy_record(name, f"k-{name}", **home))
        jugaad = {"product": "jugaad", "plan": "standard", "shift_baseline_inr": shift}
        policies.append(policy_record(name, f"j-{name}", **(home | jugaad)))

    delhi = {"lat": LAT, "lon": LON}
    for n in range(20):
        rider(f"d{n:02d}", 500.0 + 10 * n, 300.0 + 10 * n if n % 2 else None, delhi)
    rider("rich", 2000.0, 1500.0, delhi)
    for n in range(2):
        rider(f"m{n}", 800.0, 400.0, MUMBAI)
    rider("m-rich", 2000.0, None, MUMBAI)
    # Restated: lower counts at once, higher a day later; a policy that ended counts no more.
    for name, wage, minutes in (("d00", 400.0, -30), ("d01", 5000.0, -30)):
        policies.append(
            subscription_record(
                "renewed",
                minutes,
                -1000,
                1_000_000,
                event_id=f"again-{name}",
                policy_id=f"k-{name}",
                worker_id=name,
                daily_wage_inr=wage,
                device_id=f"d{name}x",
                payout_account=f"u{name}xx",
            )
        )
    policies.append(policy_record("gone", "k-gone", -5000, daily_wage_inr=9000.0, coverage_end=at(-500)))
    readings = []
    for city, where in (("delhi", delhi), ("mumbai", MUMBAI)):
        area = where | {"radius_km": 2.0}
        for value, minutes in ((1, 5), (0, 50)):
            readings.append(reading_record("curfew", value, minutes, reading_id=f"{city}-c{minutes}", **area))
        for value, minutes in RAIN:
            for provider in ("imd", "skymet"):
                name = {"reading_id": f"{city}-{provider}-{minutes}", "provider": provider}
                readings.append(reading_record("rain_mm_h", value, minutes, **name, **area))
    return {"telemetry": telemetry, "oracle_readings": readings, "subscriptions": policies}


def written(folder):
    return write_streams(folder / "in", in_order(wage_storm()))


@cache
def expected():
    with TemporaryDirectory() as folder:
        return locally(written(Path(folder)))[1]


def claim_of(worker, product):
    """The rider's first claim on a product that is not ineligible."""
    return next(
        claim
        for claim in expected().claims
        if (claim["worker_id"], claim["product"]) == (worker, product) and claim["status"] != "ineligible"
    )


@pytest.mark.parametrize(
    ("worker", "product", "ratio"),
    [
        # Daily wages of Delhi: 500, 510 ... 690 and 2,000; the median of these 21 is 600.
        ("d00", "jugaad", 500 / 600),
        ("d00", "kawaach", 400 / 600),  # lowered half an hour ago
        ("d01", "kawaach", 510 / 600),  # what is raised waits
        ("rich", "kawaach", 2000 / 600),
        # Fewer than 20 state a shift's earnings in Delhi, so those of Mumbai count: 310, 330 ... 490, 1,500, 400, 400.
        ("d01", "jugaad", 310 / 400),
        ("rich", "jugaad", 1500 / 400),
        # Of Mumbai three policies state a daily wage; the median of all 24 lies between 610 and 620.
        ("m0", "kawaach", 800 / 615),
        ("m-rich", "jugaad", 2000 / 615),
    ],
)
def test_by_hand(worker, product, ratio):
    claim = claim_of(worker, product)
    assert claim["features"]["stated_wage_ratio"] == round(ratio, 6)
    assert "stated_wage_ratio" not in claim["feature_reports"]
    outcome = ("manual_review", ["stated_wage_ratio"]) if ratio > 2 else ("approved", [])
    assert (claim["status"], claim["reasons"][:1]) == outcome


@pytest.mark.parametrize("buckets", [1, 4])
def test_both_engines_say_so(tmp_path, buckets):
    source = written(tmp_path)
    graph = Graph(settings_of(source, buckets), durable=False)
    graph.read_folder(source)
    same(graph.finish().outcome, expected())


def test_a_stream_that_is_restored_again_and_again(tmp_path):
    outcome = restored_again_and_again(tmp_path, in_order(wage_storm()), 7)
    same(outcome, expected())
