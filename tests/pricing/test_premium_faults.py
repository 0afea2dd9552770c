"""What is wrong with a `premium` is told at its place, with the nearest name there is."""

import copy

import pytest
import yaml

from monsoon.transforms.product import ProductError, parse_product

FAULTS = {
    "an unknown name": ("kawaach", ["lines", 0, "amount"], "0.02 * 7 * daily_wages", "did you mean daily_wage"),
    "a later line": ("kawaach", ["lines", 1, "amount"], "saferider", "saferider"),
    "subtotal of nothing": ("kawaach", ["lines", 0, "amount"], "subtotal", "subtotal"),
    "hours for rupees": ("nexora", ["lines", 2, "amount"], "weekly_hours", "INR is wanted here"),
    "units mixed": ("nexora", ["lines", 0, "amount"], "20 * INR + weekly_hours", "do not mix"),
    "a condition that is a number": ("gic", ["lines", 3, "when"], "trigger_probability", "condition"),
    "a line's name twice": ("kawaach", ["lines", 1, "name"], "base", '"base" is taken already'),
    "a reserved name": ("kawaach", ["lines", 1, "name"], "range", '"range" is taken already'),
    "a unit's name": ("kawaach", ["lines", 1, "name"], "paise", "paise"),
    "an input's unknown unit": ("nexora", ["inputs", "weekly_hours", "unit"], "hour", "hour"),
    "an input with limits crossed": ("nexora", ["inputs", "zone_risk", "max"], -1, "-1 is below 0"),
    "a default beyond its limits": ("kawaach", ["inputs", "weeks_covered", "default"], -2, "no number from 0 to 10000"),
    "a default that is no choice": ("nexora", ["inputs", "platform", "default"], "swigy", 'did you mean "swiggy"'),
    "choices of two units": ("nexora", ["inputs", "platform", "choices", "swiggy"], "2 h", "2 h"),
    "a base that is optional": ("jugaad", ["lines", 0, "amount"], "previous_premium", "riders without it would pay"),
    "a plan that is none": (
        "jugaad",
        ["plans", "standrd"],
        {"rate": "2 %"},
        'no plan "standrd"; did you mean "standard"',
    ),
    "a plan without an amount": ("jugaad", ["plans", "basic", "rate"], None, 'the plan basic has no "rate"'),
    "a plan's amount in another unit": ("jugaad", ["plans", "basic", "rate"], "2 INR", "as in other plans"),
    "limits crossed": ("kawaach", ["min"], "149 * INR", "the largest premium is below the smallest"),
    "a limit by rider": ("kawaach", ["min"], "daily_wage", "a limit depends on the plan alone"),
    "a limit below 0": ("kawaach", ["min"], "-1 * INR", "below 0"),
    "a fortune": ("kawaach", ["max"], "2000000 * INR", "more than Rs 1,000,000"),
    "a change without a premium before": (
        "jugaad",
        ["inputs", "previous_premium"],
        None,
        'there is no input "previous_premium"',
    ),
    "bonus hours in rupees": ("offshift", ["bonus_cover"], "24 * INR", "h is wanted here"),
    "an unknown field": ("gic", ["max_chnage"], "15 %", 'did you mean "max_change"'),
    "an unknown rounding": ("gic", ["rounding"], "rupees", 'did you mean "rupee"'),
    "a number and choices": ("gic", ["inputs", "month", "choices"], {"june": 6}, "choices"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told(root, name):
    product, path, value, words = FAULTS[name]
    document = yaml.safe_load((root / "products" / f"{product}.yaml").read_text(encoding="utf-8"))
    holder = document = copy.deepcopy(document)
    for key in ("premium", *path[:-1]):
        holder = holder[key]
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    with pytest.raises(ProductError) as refused:
        parse_product(document, version="0", where="products/x.yaml")
    assert any(words in fault for fault in refused.value.faults), refused.value.faults
    assert all("premium" in fault for fault in refused.value.faults)
