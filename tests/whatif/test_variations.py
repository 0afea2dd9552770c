"""Which number of a product file a path names, and the values that it takes."""

from decimal import Decimal

import pytest

from monsoon.sources.plain_yaml import read_plain_yaml
from monsoon.sources.product_files import product_contents
from monsoon.transforms.product import ProductError
from monsoon.transforms.product.variations import keys_of, parse_variation, plain, with_value


@pytest.fixture(scope="module")
def kawaach():
    (content,) = product_contents("kawaach").values()
    return read_plain_yaml(content).value


def value_at(document, keys):
    for key in keys:
        document = document[key]
    return document


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("60..140:20", ["60", "80", "100", "120", "140"]),
        ("60..100:30", ["60", "90"]),
        ("0.1..0.3:0.1", ["0.1", "0.2", "0.3"]),
        ("-5..5:5", ["-5", "0", "5"]),
        ("75,75.50,1e2", ["75", "75.5", "100"]),
        ("7..7:1", ["7"]),
    ],
)
def test_values(values, expected):
    variation = parse_variation(f"kawaach.triggers.rain.full={values}")
    assert (variation.product, variation.path) == ("kawaach", ("triggers", "rain", "full"))
    assert [plain(value) for value in variation.values] == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("kawaach.x=3..1:2", "the range is empty: 3 is above 1"),
        ("kawaach.x=1..3", "a range needs a step"),
        ("kawaach.x=1..3:0", "the step 0 is not above 0"),
        ("kawaach.x=1..3:-1", "the step -1 is not above 0"),
        ("kawaach.x=1..1e9:1", "1,000,000,000 values; 1,000 are the most"),
        ("kawaach.x=1..2..3:1", "'2..3' is no number"),
        ("kawaach.x=1,2,1.0", "1 is there twice"),
        ("kawaach.x=nan", "'nan' is no number"),
        ("kawaach.x=1e999999", "'1e999999' is no number"),
        ("kawaach.x=", "'' is no number"),
        ("kawaach=1", "not PRODUCT.PATH=FIRST..LAST:STEP"),
        ("kawaach..x=1", "not PRODUCT.PATH=FIRST..LAST:STEP"),
        ("kawaach.x", "not PRODUCT.PATH=FIRST..LAST:STEP"),
    ],
)
def test_values_that_make_no_sense_are_refused(text, fault):
    with pytest.raises(ProductError) as refused:
        parse_variation(text)
    assert fault in str(refused.value)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("triggers.rain.full", ">= 100", ">= 1.5"),
        ("triggers.rain.levels.full.breach", ">= 100", ">= 1.5"),
        ("triggers.rain.partial.pays", "0.50 * daily_wage", "1.5 * daily_wage"),
        ("triggers.aqi", "> 300", "> 1.5"),
        ("triggers.aqi.sustained", "3 h", "1.5 h"),
        ("triggers.rain.consensus.0.providers", 2, 1.5),
        ("caps.iso_week.limit", "3 * daily_wage", "1.5 * daily_wage"),
        ("decision.rules.3.when", "anomaly < 0.40", "anomaly < 1.5"),
        ("zone_resolution", 9, 1.5),
    ],
)
def test_a_path_names_a_number_of_the_file(kawaach, path, before, after):
    keys = keys_of(kawaach, path.split("."), "file")
    assert value_at(kawaach, keys) == before
    changed = with_value(kawaach, keys, Decimal("1.5"))
    assert value_at(changed, keys) == after
    assert value_at(kawaach, keys) == before, "the document itself is left alone"
    assert with_value(changed, keys, Decimal(1)) != kawaach


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("triggers.rian.full", 'file: triggers: no "rian"; did you mean "rain"?; there are: rain, aqi'),
        ("triggers.rain.fulll", 'file: triggers.rain: no "fulll"; did you mean "full"?'),
        ("trigger", 'file: the file: no "trigger"; did you mean "triggers"?'),
        ("triggers.rain", "file: triggers.rain: no number but a section; it has name, peril"),
        ("triggers.aqi.breach.x", 'file: triggers.aqi.breach: a value, which has no "x" in it'),
        ("title", "has no number; a value with one can vary"),
        ("decision.holds.rescore_hold.rules.0.when", None),
        ("decision.rules.1.when", "has 2 numbers; a value with one can vary"),
    ],
)
def test_a_path_to_nothing_that_varies(kawaach, path, fault):
    if fault is None:
        assert keys_of(kawaach, path.split("."), "file")
        return
    with pytest.raises(ProductError) as refused:
        keys_of(kawaach, path.split("."), "file")
    assert fault in str(refused.value)


def test_what_says_which_policies_are_valid_does_not_vary():
    document = {"plans": {"basic": {"choice": 2}}}
    with pytest.raises(ProductError, match="which policies are valid; replay with a product file instead"):
        keys_of(document, ["plans", "basic", "choice"], "file")
