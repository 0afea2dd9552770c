"""Results of a season: a small book worked by hand, and a summary that agrees with the tables."""

from fractions import Fraction

import numpy as np
import polars as pl
import pytest

from monsoon.pipelines.season.drawing import DrawnYears
from monsoon.pipelines.season.errors import SeasonError
from monsoon.pipelines.season.replays import LineLoss, Replay
from monsoon.pipelines.season.results import book_of, season_result
from monsoon.pipelines.season.settings import SeasonSettings, StormSettings
from monsoon.pipelines.season.terms import Terms, occurrence_layers, rupees, stop_loss_layer
from monsoon.sources.files import InputError
from monsoon.sources.product_files import load_products

STORMS = (
    StormSettings("rain", "rain", "Delhi", "0", per_year=0.5, dispersion=1.0, months=(6,)),
    StormSettings("wind", "wind", "Chennai", "0", per_year=0.5, dispersion=1.0, months=(6,)),
)
SETTINGS = SeasonSettings(
    years=4, seed=5, storms=STORMS, riders=50, replicates=1, products={}, product_files=(), models={}
)
TERMS = Terms(100, Fraction(1, 10), Fraction(1, 10), Fraction(1, 5), (), None, None)


def replay(storm, *paid_rupees, policies=50, paid_claims=10):
    lines = [LineLoss("kawaach", "standard", policies, 20, paid_claims, 0, paid_rupees[0] * 100, 100)]
    plans = ("shift_pass", "weekly_pass", "monthly_pro")
    lines += [
        LineLoss("offshift", plan, 20, 20, paid_claims, 0, paid * 100, 0)
        for plan, paid in zip(plans, paid_rupees[1:], strict=True)
    ]
    return Replay(storm, 0, 1, 1.0, 50, tuple(lines))


def result(terms=TERMS, **how):
    drawn = DrawnYears(*(np.array(column) for column in ([0, 0, 1], [1, 2, 9], [0, 0, 1], [0, 0, 0])))
    replays = {("rain", 0): replay("rain", 500, 0, 40, 80, **how), ("wind", 0): replay("wind", 250, 0, 0, 0, **how)}
    return season_result(SETTINGS, terms, load_products(["kawaach", "offshift"]), drawn, replays)


def test_the_book_has_every_rider_in_each_product_and_plans_in_equal_parts():
    lines = book_of(load_products(["jugaad", "kawaach"]), 100, 2)
    assert [(line.plan, line.policies) for line in lines] == [
        ("basic", 68),
        ("standard", 66),
        ("full_shield", 66),
        ("standard", 200),
    ]


def test_losses_are_scaled_to_the_book_and_periods_pay_once():
    """100 riders a city of 50 replayed: kawaach pays twice the replay's. Of the weekly pass 33 policies for 20: 66
    rupees; half of them were paid on the day before, so the second occurrence pays 33. The monthly pass likewise."""
    table = result().tables["occurrences"]
    assert table["kawaach.standard_paise"].to_list() == [100_000, 100_000, 50_000]
    assert table["offshift.weekly_pass_paise"].to_list() == [6_600, 3_300, 0]
    assert table["offshift.monthly_pro_paise"].to_list() == [13_200, 6_600, 0]
    assert table["city"].to_list() == ["Delhi", "Delhi", "Chennai"]
    lines = table.select(pl.sum_horizontal(name for name in table.columns if "." in name)).to_series()
    assert lines.to_list() == table["loss_paise"].to_list()


def test_the_summary_agrees_with_the_tables():
    """Three occurrences in four years; kawaach's loss of a year is 625 rupees, for 200 policies at 74 a week."""
    found = result()
    summary, premiums = found.summary, found.tables["premiums"]
    assert summary["burning_cost"]["kawaach"]["mean_annual_inr"] == 625
    assert summary["burning_cost"]["kawaach"]["per_policy_year_inr"] == pytest.approx(625 / 200, abs=0.01)
    assert summary["benefit_cost_ratio"]["kawaach"] == pytest.approx(625 / (200 * 74 * 8760 / 168), abs=1e-4)
    total = sum(found.tables["occurrences"]["loss_paise"]) / 100
    assert summary["burning_cost"]["all"]["mean_annual_inr"] == total / 4
    parts = ("burning", "leakage", "reinsurance", "capital", "expenses")
    for row in premiums.iter_rows(named=True):
        assert row["premium_paise"] == sum(row[f"{part}_paise"] for part in parts)
        assert row["price_at_stated_ratio_paise"] == round(
            (row["burning_paise"] + row["leakage_paise"]) / Fraction(67, 100)
        )
    assert found.tables["storms"]["occurrences"].to_list() == [2, 1]
    assert found.tables["layers"].is_empty()


def test_layers_are_taken_off_and_paid_for():
    """The first two occurrences are 1,198 and 1,099 rupees: 500 xs 1,000 pays 198 and 99 in one year of four, 74.25 a
    year, at 20% more than that; a stop loss of 100 xs 1,500 is reached by what is left of that year, 2,000."""
    terms = Terms(
        100, Fraction(1, 10), Fraction(1, 10), Fraction(1, 5), occurrence_layers(["1000:500:1@0"]),
        stop_loss_layer("1500:100"), rupees("50", "--reserve"),
    )  # fmt: skip
    found = result(terms)
    layer, stop_loss = found.tables["layers"].iter_rows(named=True)
    assert (layer["expected_recovery_inr"], layer["premium_inr"]) == (74.25, pytest.approx(74.25 * 1.2))
    assert (layer["attached_share"], stop_loss["attached_share"], stop_loss["exhausted_share"]) == (0.25, 0.25, 0.25)
    assert found.tables["occurrences"]["ceded_paise"].to_list() == [19_800, 9_900 + 10_000, 0]
    reserves = found.summary["reserve"]
    assert {each["reserve_inr"] for each in reserves.values()} == {50}
    assert reserves["at_source_price"]["breached_years"] == 0  # 771,777 rupees a year come in for kawaach alone
    suggested = reserves["at_suggested_premium"]
    assert suggested["income_for_claims_inr"] < 1_000  # and with 3 a day, 500 on the tenth day are too much, too
    assert (suggested["breached_years"], suggested["breach_probability"]) == (2, 0.5)


def test_a_plan_that_no_replayed_rider_holds_is_told():
    with pytest.raises(SeasonError, match="no policy of kawaach, standard; give more --riders"):
        result(policies=0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5e6", "is no layer"),
        ("a:5", "'a' is no number"),
        ("5:0", "a limit above 0"),
        ("-5:9", "no amount"),
        ("5:5:x", "is no layer"),
        ("0.001:5", "whole paise"),
    ],
)
def test_a_text_that_is_no_layer_is_refused(text, told):
    with pytest.raises(InputError, match=told):
        occurrence_layers([text])


def test_layers_that_overlap_are_refused_and_others_put_in_order():
    upper, lower = "2e3:1e3", "1e3:1e3:2@0.5"
    assert [layer.attachment_paise for layer in occurrence_layers([upper, lower])] == [100_000, 200_000]
    with pytest.raises(InputError, match=r"Let the upper one attach at 2,000 or more"):
        occurrence_layers(["1999:5", lower])
