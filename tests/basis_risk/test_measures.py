"""The measures against cases computed by hand, and what holds of any riders."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monsoon.pipelines.basis_risk.riders import RIDER_SCHEMA
from monsoon.pipelines.basis_risk.table import COUNTS, DIMENSIONS, basis_risk_table, bound_names
from monsoon.transforms.basis_risk import DISTANCE_BANDS, MEASURES, LossAndPayment
from monsoon.transforms.basis_risk import group_measures as measures_by


def group_measures(group, seed=1, resamples=1_000):
    return measures_by(group, np.random.default_rng(seed), resamples)


def riders_of(*rows):
    """Rows of lost and paid rupees, whether it is a loss, and the zone's code."""
    lost, paid, is_loss, zone = zip(*rows, strict=True)
    lost_paise, paid_paise = (np.array([round(100 * each) for each in column], np.int64) for column in (lost, paid))
    return LossAndPayment(lost_paise, paid_paise, np.array(is_loss), np.array(zone, np.int64))


FOUR = riders_of((100, 0, True, 0), (0, 400, False, 0), (300, 400, True, 1), (200, 0, True, 1))


def test_by_hand():
    found = group_measures(FOUR)
    value = {name: estimate.value for name, estimate in found.measures.items()}
    assert (found.riders, found.riders_paid, found.riders_with_loss) == (4, 2, 3)
    assert (found.lost_paise, found.paid_paise) == (60_000, 80_000)
    assert value["paid_without_loss"] == 1
    assert value["paid_without_loss_inr"] == 400
    assert value["loss_without_payment"] == 2
    assert value["loss_without_payment_inr"] == 300
    assert value["shortfall_per_rider_inr"] == (100 + 0 + 0 + 200) / 4
    assert value["excess_per_rider_inr"] == (0 + 400 + 100 + 0) / 4
    assert value["correlation"] == pytest.approx(np.corrcoef([100, 0, 300, 200], [0, 400, 400, 0])[0, 1])
    assert (found.resampled, found.clusters) == ("zone", 2)


def test_two_zones_give_two_zones_or_one_of_them_twice():
    """Of two zones, whose mean shortfalls are 50 and 100, the resamples' means are 50, 75 and 100."""
    low, high = group_measures(FOUR).measures["shortfall_per_rider_inr"][1:]
    assert (low, high) == (50, 100)
    one_in_each_zone = group_measures(FOUR).measures["loss_without_payment"]
    assert one_in_each_zone[1:] == (2, 2)


def test_riders_are_resampled_where_there_is_one_zone():
    one = riders_of(*[(100, 0, True, 7)] * 50, *[(0, 0, False, 7)] * 50)
    found = group_measures(one, resamples=4_000)
    assert (found.resampled, found.clusters) == ("rider", 100)
    value, low, high = found.measures["loss_without_payment"]
    # A binomial of 100 and 1/2: 50, with a standard deviation of 5.
    assert value == 50
    assert low == pytest.approx(50 - 1.96 * 5, abs=1.5)
    assert high == pytest.approx(50 + 1.96 * 5, abs=1.5)


def test_zones_that_share_their_fate_have_wider_bounds_than_riders():
    rows = [(100.0 if zone % 2 else 0.0, 0, zone % 2 == 1, zone) for zone in range(20) for _ in range(30)]
    by_zone = group_measures(riders_of(*rows)).measures["shortfall_per_rider_inr"]
    by_rider = group_measures(riders_of(*[(*row[:3], 0) for row in rows])).measures["shortfall_per_rider_inr"]
    assert by_zone.value == by_rider.value == 50
    assert by_zone.high - by_zone.low > 4 * (by_rider.high - by_rider.low)


def test_a_correlation_is_undefined_without_variance():
    alike = riders_of((100.01, 70, True, 0), (100.01, 40, True, 1), (100.01, 0, True, 2))
    assert all(math.isnan(each) for each in group_measures(alike).measures["correlation"])


def test_nobody():
    none = LossAndPayment(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0, np.int64))
    found = group_measures(none)
    assert (found.riders, found.lost_paise) == (0, 0)
    assert all(math.isnan(each) for estimate in found.measures.values() for each in estimate)


def test_a_seed_and_the_groups_name_decide():
    """The bounds of a group are the same whatever other groups there are."""
    rows = [
        (97 * number**2, 0, f"87{number % 4}e", "0-1 km", "entry", "swiggy", "working", True) for number in range(40)
    ]
    table = rider_table(rows)

    def bounds(riders, seed):
        found = basis_risk_table(riders, seed, 50).filter(dimension="zone", group="871e")
        return found.select(*bound_names("shortfall_per_rider_inr")).row(0)

    assert bounds(table, 1) == bounds(table.filter(pl.col("zone").is_in(["871e", "872e"])), 1)
    assert bounds(table, 1) != bounds(table, 2)


paise = st.integers(0, 500_000)
rows = st.lists(
    st.tuples(
        st.one_of(st.none(), paise),
        st.one_of(st.just(0), paise),
        st.sampled_from(["871e", "872f", "873a"]),
        st.sampled_from(DISTANCE_BANDS),
        st.sampled_from(["entry", "flagship"]),
        st.sampled_from(["swiggy", "zomato"]),
        st.sampled_from(["working", "not working"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


def rider_table(drawn):
    table = [
        {
            **dict.fromkeys(RIDER_SCHEMA),
            "worker_id": f"w{number}",
            "product": "kawaach",
            "zone": zone,
            "distance": distance,
            "device_tier": tier,
            "platform": platform,
            "shift": shift,
            "lost_inr": None if lost is None else lost / 100,
            "is_loss": None if lost is None else is_loss and lost > 0,
            "paid_inr": paid / 100,
        }
        for number, (lost, paid, zone, distance, tier, platform, shift, is_loss) in enumerate(drawn)
    ]
    return pl.DataFrame(table, schema=RIDER_SCHEMA)


@settings(deadline=None, max_examples=20)
@given(rows)
def test_groups_add_up_to_the_paisa_and_bounds_contain_the_value(drawn):
    table = basis_risk_table(rider_table(drawn), resamples=50)
    (total,) = table.filter(pl.col("dimension") == "all").iter_rows(named=True)
    assert total["riders"] + total["not_measured"] == len(drawn)
    assert round(100 * total["lost_inr"]) == sum(row[0] or 0 for row in drawn)
    for dimension in DIMENSIONS[1:]:
        groups = table.filter(pl.col("dimension") == dimension)
        for column in (*COUNTS, *MEASURES[:4]):
            scale = 100 if column.endswith("_inr") else 1
            parts = sum(round(scale * (value or 0)) for value in groups[column])
            assert parts == round(scale * (total[column] or 0)), (dimension, column)
    for row in table.iter_rows(named=True):
        for measure in MEASURES:
            low, high = (row[name] for name in bound_names(measure))
            if low is not None:
                assert low <= row[measure] <= high, (row["dimension"], row["group"], measure)
        if row["riders"]:
            mean_gap = row["lost_inr"] / row["riders"] - row["paid_inr"] / row["riders"]
            difference = row["shortfall_per_rider_inr"] - row["excess_per_rider_inr"]
            assert difference == pytest.approx(mean_gap, abs=1e-4)
