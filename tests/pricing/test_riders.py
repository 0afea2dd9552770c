"""Files of riders: what can be read, who is refused and why, what the history adds."""

import polars as pl
import pytest

from monsoon.pipelines.pricing.quotes import quote_riders
from monsoon.pipelines.pricing.riders import checked_riders, joined, read_riders
from monsoon.sources.files import InputError
from monsoon.sources.product_files import load_products

PRODUCTS = load_products()
KAWAACH, JUGAAD, OFFSHIFT = (PRODUCTS[name].premium for name in ("kawaach", "jugaad", "offshift"))
CSV = "worker_id,daily_wage,zone_multiplier\nw2,450,1.3\nw1,480,0.9\n"


def written(tmp_path, text, name="riders.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def checked(tmp_path, text, terms=KAWAACH, plan=None):
    return checked_riders(read_riders(written(tmp_path, text), terms), terms, plan)


def refused(tmp_path, text, terms=KAWAACH):
    return {row["worker_id"]: row["problem"] for row in checked(tmp_path, text, terms).refused.iter_rows(named=True)}


def test_formats_and_orders_give_the_same_riders(tmp_path):
    of_csv = checked(tmp_path, CSV)
    table = pl.DataFrame({"worker_id": ["w1", "w2"], "daily_wage": [480, 450], "zone_multiplier": [0.9, 1.3]})
    table.write_parquet(tmp_path / "riders.parquet")
    table.reverse().write_ndjson(tmp_path / "riders.jsonl")
    for name in ("riders.parquet", "riders.jsonl"):
        other = checked_riders(read_riders(tmp_path / name, KAWAACH), KAWAACH, None)
        assert other.workers == of_csv.workers == ["w1", "w2"]
        assert {k: v.tolist()[:2] for k, v in other.inputs.items() if k in table.columns} == {
            "daily_wage": [480.0, 450.0],
            "zone_multiplier": [0.9, 1.3],
        }


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("riders.txt", CSV, "no riders in a file of .txt suffix"),
        ("riders.csv", "daily_wage,zone_multiplier\n450,1\n", "there is no column worker_id"),
        ("riders.csv", "worker_id,daily_wages,zone_multiplier\nw,1,1\n", 'no input "daily_wages"; did you mean'),
        ("riders.csv", "", "no table of riders"),
        ("riders.jsonl", "{", "no table of riders"),
        ("riders.parquet", "no parquet", "no table of riders"),
    ],
)
def test_a_file_that_is_no_table_of_riders_is_told(tmp_path, name, text, problem):
    with pytest.raises(InputError) as told:
        read_riders(written(tmp_path, text, name), KAWAACH)
    assert problem in str(told.value)


def test_a_column_of_lists_or_bytes_is_told(tmp_path):
    for column, values in (("daily_wage", [[500.0]]), ("worker_id", [b"\xff"])):
        row = {"worker_id": ["w1"], "daily_wage": [500.0]} | {column: values}
        pl.DataFrame(row).write_parquet(tmp_path / "riders.parquet")
        with pytest.raises(InputError, match=f"column {column} holds (List|Binary).*, not a value in each row"):
            read_riders(tmp_path / "riders.parquet", KAWAACH)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match=r"riders\.csv"):
        read_riders(tmp_path / "riders.csv", KAWAACH)


def test_who_gets_no_quote_and_why(tmp_path):
    rows = "worker_id,daily_wage,zone_multiplier,squad_size\n"
    rows += "a,,1.3,\nb,450,1.5,\nc,much,1,\nd,NaN,1,\ne,inf,1,\n,450,1,\nf,450,1,7\nf,450,1,8\ng,450,1,7\ng,450,1,7\n"
    found = refused(tmp_path, rows)
    assert found.pop("a").startswith("daily_wage is missing (stated earnings of a day)")
    assert found.pop("b") == "zone_multiplier 1.5 is not from 0.8 to 1.4"
    assert found.pop("c") == "daily_wage much is no number"
    assert found.pop("d") == "daily_wage NaN is no number"
    assert found.pop("e") == "daily_wage inf is not from 1 to 5000"
    assert found.pop(None) == "worker_id is missing"
    assert found.pop("f").startswith("is there twice with different values")
    assert found == {}
    assert checked(tmp_path, rows).workers == ["g"]


def test_choices_and_plans_go_by_their_names(tmp_path):
    rows = "worker_id,plan,weekly_income,city_risk,shift,zone_risk,platforms\n"
    rows += (
        'a,basic:"heat",3000,1,day,1,\nb,gold,3000,1,day,1,one\nc,standard,3000,1,night,1,one\nd,,3000,1,day,1,one\n'
    )
    found = refused(tmp_path, rows.replace('"', ""), JUGAAD)
    assert found == {
        "b": "plan gold is none of basic, standard, full_shield",
        "c": "shift night is none of day, mixed, evening",
        "d": "plan is missing; there are: basic, standard, full_shield",
    }
    riders = checked(tmp_path, rows.replace('"', ""), JUGAAD, "standard")
    assert list(zip(riders.workers, riders.plans, strict=True)) == [("a", "basic"), ("d", "standard")]
    assert riders.inputs["shift"].tolist() == [0.85, 0.85]


def test_the_file_goes_before_the_history(tmp_path):
    rows = read_riders(
        written(tmp_path, "worker_id,zone_multiplier,weeks_covered\nw1,1.2,\nw2,1.2,60\nw3,1,\n"), KAWAACH
    )
    history = (
        pl.DataFrame(
            {
                "worker_id": ["w1", "w2"],
                "plan": ["standard", "standard"],
                "weeks_covered": [30.0, 31.0],
                "daily_wage": [500.0, 600.0],
                "squad_size": [0.0, 0.0],
                "squad_claims_1_week": [0.0, 0.0],
                "claim_free_weeks": [3.0, 3.0],
            },
            schema_overrides={"weeks_covered": pl.Float64},
        )
        .with_columns(
            pl.lit(None, pl.Float64).alias(name)
            for name in ("claims_4_weeks", "rider_claim_frequency", "previous_premium", "month", "day_of_week")
        )
        .with_columns(pl.lit("zepto").alias("platform"))
    )
    riders = checked_riders(joined(rows, history, KAWAACH), KAWAACH, None)
    assert riders.workers == ["w1", "w2"]
    assert riders.inputs["weeks_covered"].tolist() == [30.0, 60.0]
    assert riders.inputs["daily_wage"].tolist() == [500.0, 600.0]
    assert riders.refused["problem"].to_list() == ["daily_wage is missing (stated earnings of a day)"]


def test_quotes_of_a_table_have_the_lines_of_each_rider(tmp_path):
    tables = quote_riders(PRODUCTS["kawaach"], checked(tmp_path, CSV))
    assert tables.quotes["premium_paise"].to_list() == [6000, 8200]
    for row in tables.quotes.iter_rows(named=True):
        assert sum(line["amount_paise"] for line in row["lines"]) == row["premium_paise"]
    assert tables.quotes["factors"].to_list() == [[{"name": "saferider_tier", "value": 1.0}]] * 2


def test_a_line_that_is_not_known_is_named(tmp_path):
    rows = "worker_id,plan,pincode_risk_score,day_of_week,shift_hour,waterlogging_zone_flag\nw,weekly_pass,0.5,1,9,0\n"
    tables = quote_riders(PRODUCTS["offshift"], checked(tmp_path, rows, OFFSHIFT))
    assert tables.quotes["not_measured"].to_list() == [[]]  # each such line has a condition, which then does not hold
    assert tables.quotes["bonus_hours"].to_list() == [0.0]
