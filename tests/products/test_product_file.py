"""Product files: what they say, and what is said of those that say what cannot be."""

import copy

import pytest
import yaml

from monsoon.sources.product_files import available_products, load_products, read_product
from monsoon.transforms.product import Comparison, ProductError, content_version, duration_ms, parse_product
from monsoon.transforms.product.old_names import FIELDS, HOLDS


def shipped(root, name):
    return yaml.safe_load((root / "products" / f"{name}.yaml").read_text())


def parse(document, **options):
    return parse_product(document, version="v", where="products/x.yaml", **options)


def test_every_file_loads_under_its_name():
    products = load_products()
    assert sorted(products) == available_products() == ["gic", "jugaad", "kawaach", "nexora", "offshift"]
    assert {name: product.name for name, product in products.items()} == {name: name for name in products}


def test_the_version_is_a_hash_of_the_content(root):
    content = (root / "products" / "kawaach.yaml").read_bytes()
    assert load_products(["kawaach"])["kawaach"].version == content_version(content)
    assert content_version(content) != content_version(content + b"\n")


def test_an_unknown_product_names_those_there_are():
    with pytest.raises(
        ProductError, match=r"no product 'kavach'; did you mean .kawaach.\?; there are: gic, jugaad, kawaach"
    ):
        load_products(["kavach"])


def test_thresholds_are_meant_literally():
    assert Comparison(">=", 75).holds(75)
    assert not Comparison(">", 300).holds(300)
    assert Comparison("<", 100).holds(99.9)
    assert not Comparison("<", 100).larger_is_worse


@pytest.mark.parametrize(("text", "ms"), [("3 h", 10_800_000), ("30 min", 1_800_000), ("0 s", 0), ("7 d", 604_800_000)])
def test_durations(text, ms):
    assert duration_ms(text) == ms


@pytest.mark.parametrize("text", ["3", "h", "3 hours", "-3 h", "1.5 h", "٣ h", "4000 d"])
def test_durations_that_are_none(text):
    with pytest.raises(ValueError, match=f'"{text}"'):
        duration_ms(text)


REVIEWED = {"status": "soft_hold", "wait": "2 h", "rules": [{"then": "manual_review"}]}

FAULTS = {
    # Where in which shipped product, what stands there instead, what must be said.
    "a trigger twice": ("kawaach", ["triggers", 1, "name"], "wind", 'triggers[2] (wind).name: "wind" is the name of'),
    "levels out of order": (
        "kawaach",
        ["triggers", 0, "levels", 0, "breach"],
        ">= 120",
        'triggers[0] (rain).levels[1] (full).breach: ">= 100" is no stricter than ">= 120"',
    ),
    "a flag that is not 1": ("kawaach", ["triggers", 3, "breach"], "= 0", '(curfew).breach: "= 0": curfew is a flag'),
    "a flag above 0": ("kawaach", ["triggers", 3, "breach"], "> 0", 'did you mean "= 1"?'),
    "a platform's metric without platform": (
        "kawaach",
        ["triggers", 4, "platform"],
        None,
        'field "platform" is missing',
    ),
    "a platform for rain": ("nexora", ["triggers", 0, "platform"], "own", "rain_mm_h is of no platform; only"),
    "a name in a formula": (
        "kawaach",
        ["triggers", 1, "pays"],
        "1.00 * dayly_wage",
        "(aqi).pays: unknown name 'dayly_wage'",
    ),
    "its nearest name": ("kawaach", ["triggers", 1, "pays"], "1.00 * dayly_wage", "did you mean daily_wage?"),
    "units mixed": ("kawaach", ["triggers", 1, "pays"], "daily_wage + aqi", "(aqi).pays: "),
    "units mixed, named": ("kawaach", ["triggers", 1, "pays"], "daily_wage + aqi", "do not mix"),
    "a payout in hours": ("kawaach", ["triggers", 1, "pays"], "disrupted_hours", "a number in INR is wanted here"),
    "a payout that is a condition": ("kawaach", ["triggers", 1, "pays"], "daily_wage > 1 * INR", "is a condition"),
    "a negative payout": ("nexora", ["triggers", 0, "pays"], "-400 * INR", '(rain).pays: "-400 * INR" is Rs -400'),
    "a payout of nothing": ("nexora", ["triggers", 0, "pays"], "0", "an amount above 0 is wanted here"),
    "never above 0": (
        "kawaach",
        ["triggers", 1, "pays"],
        "0.5 * daily_wage - 2 * daily_wage",
        "never comes to an amount above 0",
    ),
    "a cap of nothing": ("kawaach", ["caps", 0, "limit"], "0 * INR", 'caps[0].limit: "0 * INR" is Rs 0'),
    "two caps of a day": ("kawaach", ["caps", 1, "per"], "local_day", 'caps[1].per: "local_day" has a cap already'),
    "a trigger that no plan covers": ("offshift", ["plans", "monthly_pro", "triggers"], ["rain"], "(curfew): no plan"),
    "a plan's unknown trigger": (
        "offshift",
        ["plans", "shift_pass", "triggers", 0],
        "rian",
        'plans.shift_pass.triggers[0]: no trigger "rian"; did you mean "rain"?; there are: rain, heat',
    ),
    "a choice of more than there are": ("jugaad", ["plans", "basic", "choice"], 8, "choice: 8 is more than the 7"),
    "a default of more than the choice": ("jugaad", ["plans", "basic", "choice"], 2, "triggers: 3 triggers by default"),
    "a plan's missing term": ("jugaad", ["plans", "basic", "terms", "share"], None, 'plans.basic: the term "share" is'),
    "a plan's term in another unit": (
        "jugaad",
        ["plans", "standard", "terms", "share"],
        "7 INR",
        '"7 INR" is in INR; 1',
    ),
    "a plan's term in no unit": ("jugaad", ["plans", "basic", "terms", "share"], "7 rupees", "unknown unit 'rupees'"),
    "a plan's term named as an input": (
        "jugaad",
        ["plans"],
        {"basic": {"terms": {"daily_wage": "1 INR"}}},
        "cannot be",
    ),
    "more providers than may count": ("nexora", ["triggers", 4, "consensus", 0, "providers"], 2, "and only admin may"),
    "silence longer than before": (
        "offshift",
        ["triggers", 3, "silent_quorum", "silent"],
        "90 min",
        '"90 min" is not shorter than before, 90 min',
    ),
    "trust that is no score": (
        "offshift",
        ["decision", "scores", "trust"],
        None,
        'no score "trust"; there are: anomaly',
    ),
    "more weeks than there are": ("jugaad", ["triggers", 4, "order_drop", "min_weeks"], 5, "5 is more than weeks, 4"),
    "two witnesses": (
        "offshift",
        ["triggers", 3, "order_drop"],
        {"min_drop": "65 %", "window": "1 h", "weeks": 4, "min_weeks": 2, "seen": "90 min"},
        "has one of them",
    ),
    "hours that overlap": (
        "jugaad",
        ["triggers", 6, "hours"],
        ["11:00-15:00", "14:00-16:00"],
        'hours[1]: "14:00-16:00"',
    ),
    "hours that run backward": ("jugaad", ["triggers", 6, "hours"], ["15:00-11:00"], 'hours[0]: "15:00-11:00" is not'),
    "a zone that is no cell": ("gic", ["triggers", 0, "zones"], {"87zz": ">= 12"}, '.zones.87zz: "87zz" is no H3 cell'),
    "a zone of another size": ("gic", ["triggers", 0, "zones"], {"8928308280fffff": ">= 12"}, "of resolution 7"),
    "a zone's other operator": ("gic", ["triggers", 0, "zones"], {"87618c4c6ffffff": "> 12"}, "another operator"),
    "a zone of a graded trigger": ("kawaach", ["triggers", 0, "zones"], {"8928308280fffff": ">= 12"}, "graded trigger"),
    "thresholds without an end": (
        "gic",
        ["triggers", 0, "activity", "thresholds"],
        [{"share": "> 4 %", "sigma": 1}],
        "apply always",
    ),
    "a threshold that never applies": (
        "gic",
        ["triggers", 0, "activity", "thresholds", 1, "share"],
        "> 50 %",
        "thresholds[1]: it never applies",
    ),
    "a supplement for nobody": (
        "jugaad",
        ["triggers", 1, "supplements", 0, "plans", 0],
        "standart",
        'plans[0]: no plan "standart"; did you mean "standard"?',
    ),
    "a supplement's unknown input": (
        "jugaad",
        ["triggers", 1, "supplements", 0, "when"],
        "slab > 1",
        "unknown name 'slab'",
    ),
    "a rule to nowhere": (
        "kawaach",
        ["decision", "rules", 2, "then"],
        "askd",
        'rules[2].then: "askd" is none of approve, manual_review',
    ),
    "its nearest hold": (
        "kawaach",
        ["decision", "rules", 2, "then"],
        "rescor_hold",
        'did you mean "rescore_hold"?',
    ),
    "a score without parts": (
        "nexora",
        ["decision", "scores", "anomaly", "unmeasured"],
        {"counts": 0.5, "below": 0.6},
        "anomaly.unmeasured: only a score of weighted parts",
    ),
    "a scale of a formula": (
        "gic",
        ["decision", "scores", "anomaly", "cut_offs"],
        [{"at": 0.5, "honest_beyond": "1 %"}],
        "anomaly.cut_offs: only a model's score",
    ),
    "cut-offs that fall": (
        "jugaad",
        ["decision", "scores", "anomaly", "cut_offs", 1, "at"],
        0.15,
        "cut_offs[1]: cut-offs rise",
    ),
    "a share below the resolution of a calibration": (
        "jugaad",
        ["decision", "scores", "anomaly", "cut_offs", 1, "honest_beyond"],
        "0.001 %",
        "from 0.01 % to less than 100 %",
    ),
    "nothing beyond the end of the scale": (
        "jugaad",
        ["decision", "scores", "anomaly", "cut_offs", 1, "at"],
        1,
        "cut_offs[1].at: nothing lies beyond 1",
    ),
    "no last rule": (
        "nexora",
        ["decision", "rules", 1, "when"],
        "signals < 3",
        "rules[1]: the last rule must hold always",
    ),
    "a rule after the last": ("nexora", ["decision", "rules", 0, "when"], None, "rules[1]: this rule never holds"),
    "a hold that nothing leads to": (
        "offshift",
        ["decision", "rules", 5, "then"],
        "manual_review",
        "holds.held: no rule leads to this hold",
    ),
    "a hold for ever": (
        "offshift",
        ["decision", "holds", "held", "rules", 1, "then"],
        "held",
        "leads back to where the claim was held",
    ),
    "a hold named as an outcome": ("nexora", ["decision", "holds"], {"approve": REVIEWED}, '"approve" is an outcome'),
    "a step-up without an answer": (
        "kawaach",
        ["decision", "holds", "step_up_verification", "answered"],
        None,
        '"answered" is missing',
    ),
    "a soft hold that asks": (
        "kawaach",
        ["decision", "holds", "rescore_hold", "answered"],
        "approve",
        "a soft_hold asks the rider nothing",
    ),
    "a soft hold that reads again": (
        "kawaach",
        ["decision", "holds", "rescore_hold", "reread"],
        "optional",
        "a soft_hold asks the rider nothing",
    ),
    "a hold of no time": (
        "gic",
        ["decision", "holds", "review", "wait"],
        "0 s",
        '"0 s" is too short; 1 s is the least',
    ),
    "a part twice": (
        "offshift",
        ["decision", "scores", "trust", "weighted", 1, "part"],
        "shift_pattern",
        "another part",
    ),
    "a window that is not there": ("offshift", ["alert_window"], None, "the product has not an alert_window"),
    "a syndicate that is not there": ("offshift", ["syndicate"], None, "the product has not a syndicate"),
    "a test that is not there": (
        "gic",
        ["triggers", 0, "activity"],
        None,
        "the product has not a trigger with activity",
    ),
    "an unknown model": (
        "nexora",
        ["decision", "scores", "anomaly", "model"],
        "claim_anomly",
        'did you mean "claim_an',
    ),
    "a month that is none": ("nexora", ["in_force_from"], "2026-13-01T00:00:00+05:30", 'in_force_from: "2026-13'),
    "a year long past": ("nexora", ["in_force_from"], "1926-01-01T00:00:00+05:30", "a moment of 2000 to 2099"),
    "a margin in rupees": ("jugaad", ["presence_margin"], "500 INR", 'presence_margin: "500 INR"'),
}


def broken(document, path, value):
    document = copy.deepcopy(document)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return document


@pytest.mark.parametrize("name", FAULTS)
def test_what_only_the_whole_file_shows(root, name):
    product, path, value, words = FAULTS[name]
    with pytest.raises(ProductError) as refused:
        parse(broken(shipped(root, product), path, value), models={"claim_anomaly"})
    assert any(words in fault for fault in refused.value.faults), refused.value.faults
    assert all(fault.startswith("products/x.yaml: ") for fault in refused.value.faults)


def test_all_faults_of_a_file_are_told_at_once(root):
    document = shipped(root, "kawaach")
    document["triggers"][1]["pays"] = "dayly_wage"
    document["triggers"][2]["pays"] = "wage"
    document["caps"][0]["limit"] = "0 * INR"
    with pytest.raises(
        ProductError, match=r"dayly_wage.*\(and 2 more; `monsoon products check FILE` lists them\)$"
    ) as refused:
        parse(document)
    assert len(refused.value.faults) == 3


@pytest.mark.parametrize("document", [None, [], "text", 3, True, 1.5])
def test_a_file_that_is_no_mapping(document):
    with pytest.raises(ProductError, match=r"^products/x\.yaml: .*a mapping is wanted here$"):
        parse(document)


def test_a_score_may_name_any_model_where_none_are_told(root):
    assert parse(broken(shipped(root, "nexora"), ["decision", "scores", "anomaly", "model"], "mine")).name == "nexora"


def old_kawaach(root):
    text = (root / "products" / "kawaach.yaml").read_text(encoding="utf-8")
    for old, name in HOLDS.items():
        text = text.replace(name, old)
    return text


def test_a_file_with_old_names_of_holds_decides_as_one_with_the_present_ones(root):
    told = []
    document = yaml.safe_load(old_kawaach(root))
    old = parse_product(document, version="v", where="x.yaml", warn=told.append)
    assert old == parse_product(shipped(root, "kawaach"), version="v", where="x.yaml", warn=told.append)
    assert [line.rpartition("call it ")[2] for line in told] == ['"step_up_verification"', '"rescore_hold"']


def test_a_fault_in_a_hold_with_an_old_name_is_told_where_it_stands(root):
    text = old_kawaach(root).replace("wait: 2 h", "wait: 2 hours")
    line = text[: text.index("2 hours")].count("\n") + 1
    with pytest.raises(ProductError) as refused:
        read_product(text.encode(), "x.yaml")
    assert refused.value.faults[0].startswith(f"x.yaml:{line}: decision.holds.looked_at_again.wait: ")


def test_a_file_that_has_a_hold_of_either_name_keeps_both(root):
    document = shipped(root, "kawaach")
    document["decision"]["holds"]["asked"] = document["decision"]["holds"]["step_up_verification"]
    document["decision"]["rules"][-1]["then"] = "asked"
    told = []
    product = parse_product(document, version="v", where="x.yaml", warn=told.append)
    assert set(product.decision.holds) == {"asked", "step_up_verification", "rescore_hold"}
    assert told == []


def with_old_fields(document):
    """The document with every field of a trigger under its old name, and the present names of those that it has."""
    found = []
    for trigger in document["triggers"]:
        for section, names in FIELDS.items():
            for old, name in names.items():
                if name in trigger.get(section, {}):
                    trigger[section][old] = trigger[section].pop(name)
                    found.append(name)
    return found


def test_old_names_of_fields_are_read_with_a_warning_each(root):
    read = set()
    for name in ("gic", "jugaad", "offshift"):
        warned = []
        document = shipped(root, name)
        found = with_old_fields(document)
        old = parse_product(document, version="v", where="x.yaml", warn=warned.append)
        assert old == parse_product(shipped(root, name), version="v", where="x.yaml", warn=warned.append)
        assert [line.rpartition("call it ")[2].strip('"') for line in warned] == found
        assert all("is the old name of this field" in line for line in warned)
        read |= set(found)
    assert read == {name for names in FIELDS.values() for name in names.values()}


@pytest.mark.parametrize(
    ("section", "old", "name"), [(section, *pair) for section, names in FIELDS.items() for pair in names.items()]
)
def test_a_field_under_both_names_is_refused(root, section, old, name):
    product = {"silent_quorum": "offshift", "order_drop": "jugaad", "activity": "gic"}[section]
    document = shipped(root, product)
    (fields,) = [trigger[section] for trigger in document["triggers"] if section in trigger]
    fields[old] = fields[name]
    with pytest.raises(ProductError) as refused:
        parse(document)
    (fault,) = refused.value.faults
    assert f'{section}.{old}: "{old}" is the old name of "{name}", which stands here too' in fault


def test_a_fault_in_a_field_with_an_old_name_is_at_its_place_in_the_file(root):
    text = (root / "products" / "jugaad.yaml").read_text(encoding="utf-8").replace("min_weeks: 2", "least_weeks: 5")
    line = text[: text.index("least_weeks")].count("\n") + 1
    with pytest.raises(ProductError) as refused:
        read_product(text.encode(), "x.yaml")
    assert refused.value.faults == (
        f"x.yaml:{line}: triggers[4] (bandh).order_drop.least_weeks: 5 is more than weeks, 4",
    )
