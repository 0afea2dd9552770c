"""`monsoon products explain`: the wording says what the specification says, trigger by trigger, number by number."""

import re

import pytest

from monsoon.cli.main import main
from monsoon.sources.product_files import load_products
from monsoon.transforms.expressions import Expression
from monsoon.transforms.product.inputs import CLAIM, POLICY, WEEK, feature_units
from monsoon.transforms.product.wording import policy_wording
from monsoon.transforms.product.wording.phrases import duration, formula_words, period, rupees

PRODUCTS = load_products()
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")

CLAIM_FACTS = {
    # Of each section of the explanation what must stand there, from products.md read side by side.
    "kawaach": {
        "Plans": ["standard: covers all 5 triggers"],
        "Where you must be": ["H3 resolution 9", "you must be in the zone.", "at most 90 minutes old", "home zone"],
        "Trigger rain": [
            "the rain of the last 24 hours is at least 75 mm",
            "2 independent sources at the same time",
            "level partial, when it is at least 75 mm: 50% of your daily wage",
            "level full, when it is at least 100 mm: 100% of your daily wage",
            "the difference is added",
        ],
        "Trigger aqi": [
            "AQI, on the Indian scale) is above 300",
            "3 hours without a break",
            "2 independent sources",
            "Pays: 100% of your daily wage",
        ],
        "Trigger wind": ["the wind is at least 60 km/h", "30 minutes without a break", "2 independent", "100% of your"],
        "Trigger curfew": ["a curfew or bandh is reported", "1 official source.", "75% of your daily wage"],
        "Trigger platform_downtime": [
            "reported to be down; only for riders whose policy names that platform",
            "2 hours without a break",
            "1 source;",
            "40% of your daily wage",
        ],
        "Limits": [
            "At most 100% of your daily wage for the disruptions of one day",
            "At most 3 x your daily wage for the disruptions of one calendar week",
            "One disruption pays you once",
        ],
        "How a claim is checked": [
            "If the anomaly score is below 0.40: it is paid at once",
            "If the anomaly score is at most 0.72: it waits 2 hours",
            "If your trust tier is at least 4 and the anomaly score is at most 0.85: it is paid at once",
            "Without an answer, after 4 hours, a person reviews it",
            "on fewer than 3 independent signals",
            "more than 2 times the median",
        ],
    },
    "offshift": {
        "Plans": [
            "shift_pass: Rs 49; for 24 hours; covers rain and heat; maximum Rs 500",
            "weekly_pass: Rs 99; for 168 hours (7 days); covers rain, heat, aqi and outage; maximum Rs 1,500",
            "monthly_pro: Rs 349; for 720 hours (30 days); covers all 5 triggers; maximum Rs 4,000",
        ],
        "Where you must be": ["H3 resolution 6"],
        "Trigger rain": [
            "the rain is above 65 mm per hour",
            "2 independent sources",
            "Plans: shift_pass, weekly_pass, monthly_pro",
        ],
        "Trigger heat": [
            "the temperature is above 45 °C",
            "3 hours",
            "1 official source or 2 independent sources",
            "Plans: shift_pass, weekly_pass, monthly_pro",
        ],
        "Trigger aqi": [
            "is above 300",
            "3 hours",
            "1 official source or 2 independent",
            "Plans: weekly_pass, monthly_pro",
        ],
        "Trigger outage": [
            "in the last 30 minutes is at least 500",
            "only for riders whose policy names that platform",
            "1 source;",
            "between 90 minutes and 30 minutes before",
            "reported nothing, or only offline",
            "at least 0.4",
            "must add up to 40",
            "A model (outage) must call this silence a real outage too",
            "Plans: weekly_pass, monthly",
        ],
        "Trigger curfew": [
            "a curfew or bandh is reported",
            "the sources news and admin, all at the same time",
            "Plans: monthly_pro",
            "Rs 4,000 in monthly_pro",
        ],
        "Limits": ["At most your plan's maximum", "in one coverage period"],
        "Waiting rules": ["within 10 minutes of the beginning of a red alert", "or of the readings that confirmed"],
        "How a claim is checked": [
            "0.25 gps cell tower match",
            "0.2 accelerometer",
            "0.2 app activity",
            "0.15 shift pattern",
            "0.1 subscription timing",
            "0.1 device uniqueness",
            "a part that was not measured leaves the sum",
            "If you activated the policy shortly after a public alert: a person reviews it",
            "trust score is above 0.75: it is",
            "at least 0.40: you are asked to confirm it",
            "after 24 hours, a person reviews it",
            "it waits 15 minutes",
            "sources that confirmed is at least 2 and the match of your phone's cell towers",
        ],
        "Syndicate alert": [
            "at least 3 of 5",
            "50 or more subscriptions within 1 hour",
            "5 or more riders on one device",
            "at most 2 cell towers",
            "at most 2 accounts",
            "nobody else's",
        ],
    },
    "gic": {
        "Where you must be": ["H3 resolution 7"],
        "Trigger rain": [
            "the rain is at least 15 mm per hour",
            "1 source;",
            "Every 5 minutes while it lasts",
            "orders of the last hour",
            "1.3 where more than 40%",
            "1.5 where at least 20%",
            "else 1.8",
            "at least 55% of the usual orders",
            "With fewer than 5 of them the drop must reach 1.8",
            "never dropped so far, nothing is paid",
            "if they are not known, a person looks",
            "0.55 + 0.25 x ((the rain - 15 mm/h) / 20 mm/h, between 0 and 1)",
            "standard deviations / 3, between 0 and 1",
            "rounded to the whole rupee",
            "between Rs 100 and Rs 500",
        ],
        "Limits": ["One payout per rider and clock hour in which it is confirmed"],
        "How a claim is checked": [
            "0.35 x",
            "7 days",
            "the number of your claims in the 7 days before",
            "0.15 x",
            "0.10 x",
            "below 0.40: it is paid",
            "at most 0.65: it waits 2 hours",
            "Otherwise: a person reviews it",
            "below 5: it waits 2 hours, because there were too few other riders",
        ],
    },
    "jugaad": {
        "Plans": [
            "basic: covers the 3 triggers that you choose, heat, rain and aqi if you choose none; share 60%; weekly "
            "maximum Rs 720",
            "standard: covers all 7 triggers; share 70%; weekly maximum Rs 1,400",
            "full_shield: covers all 7 triggers; share 80%; weekly maximum Rs 2,400; an outage of any platform",
        ],
        "Where you must be": ["H3 resolution 8", "at most 500 m outside it"],
        "Trigger heat": ["is at least 44 °C", "2 hours", "a red alert is in force", "share x your daily wage"],
        "Trigger rain": [
            "at least 25 mm per hour",
            "90 minutes without",
            "2 independent sources",
            "share x your usual earnings of a shift",
            "slab shield, in standard and full_shield, once per calendar week): Rs 800",
            "decided when it has ended",
        ],
        "Trigger fog": [
            "the visibility is below 100 m",
            "3 hours",
            "a fog advisory is in force",
            "50% of your usual earn",
        ],
        "Trigger aqi": ["is at least 400", "3 hours", "1 official source or 2 independent", "25% of your daily wage"],
        "Trigger bandh": [
            "3 independent sources",
            "down by at least 65%",
            "last 4 weeks (at least 2 of them",
            "90 minutes",
            "Pays: your usual earnings of a shift.",
        ],
        "Trigger congestion": [
            "is above 2.",
            "1 hour without",
            "15% of your hourly wage x the number of hours that it lasted",
            "It is paid when it has ended",
        ],
        "Trigger outage": [
            "is at least 500",
            "45 minutes",
            "between 11:00 and 15:00 or between 18:00 and 23:00",
            "Pays: your hourly wage x the number of hours that it lasted",
            "in full_shield an outage of any platform",
        ],
        "Limits": [
            "Rs 720 in basic, Rs 1,400 in standard and Rs 2,400 in full_shield for the disruptions of one calendar"
        ],
        "Waiting rules": [
            "at once where it lowers what could be paid",
            "disruptions that start 48 hours or more after the change",
            "a larger daily wage, larger usual earnings of a shift",
            "more than 2 km from a home that counted in the 48 hours before",
            "Your platform and your weekly slab count at once",
            "when your cover had ended for 48 hours or more",
            "activated anew where it is renewed or upgraded after its cover had ended",
            "after a gap of less than 48 hours what counted before it goes on counting",
            "less than 48 hours before the beginning of a red alert for the zone, or after it",
            "ended less than 24 hours ago",
        ],
        "How a claim is checked": [
            "Of honest claims 1% above 0.15 and 0.1% above 0.5.",
            "1 - the anomaly score is at least 0.85: it is paid",
            "it waits 15 minutes",
            "If the anomaly score is above 0.50: a person reviews it. Otherwise: it is paid.",
            "Missing data is not fraud",
        ],
    },
    "nexora": {
        "Where you must be": ["H3 resolution 7"],
        "Trigger rain": [
            "above 20 mm per hour",
            "Pays: Rs 400",
            "1 source; cached or modeled data alone is not enough",
        ],
        "Trigger heat": ["above 43 °C", "Pays: Rs 300", "1 source; cached or modeled data alone is not enough"],
        "Trigger aqi": ["above 300", "Pays: Rs 350", "1 source; cached or modeled data alone is not enough"],
        "Trigger flood": ["a flood alert is in force", "1 official source", "Pays: Rs 500"],
        "Trigger bandh": ["a curfew or bandh is reported", "the source admin", "Pays: Rs 450"],
        "Limits": [
            "One payout per rider, peril and day on which the disruption starts",
            "disruptions of the same peril",
        ],
        "How a claim is checked": ["below 0.5: it is paid at once", "Otherwise: a person reviews it"],
    },
}

EXAMPLES = {
    # Numbers of products.md that are no terms: worked vectors, history, other spellings. By line, as it begins.
    "- Decision by anomaly score": {"0.79"},
    "- Same rider, same disruption": {"7"},
    "- Consensus vectors": {"70", "74", "80", "101", "125", "85", "45", "58", "59", "65"},
    "- Weighted quorum": {"0.9"},
    "- Trust score T": {"4", "0.95", "0.88", "0.85", "0.92", "0.90", "0.9115"},  # 2e-4 is said as 0.0002
    "- Syndicate alert": {"60"},  # said as 1 hour
    "- Zone state": {"10"},  # a name for states, not a rule of payment
    "- Payout = round": {"21", "2.5", "310", "245", "264", "170", "35", "60", "600"},
    "| fog |": {"19"},  # which shift's earnings; the policy states them
    "| basic |": {"0.60"},  # said as percent
    "| standard |": {"0.70"},
    "| full_shield |": {"0.80"},
}


def sections(name):
    return {section.title: " ".join(section.points) for section in policy_wording(PRODUCTS[name])}


@pytest.mark.parametrize(("name", "title"), [(name, title) for name in CLAIM_FACTS for title in CLAIM_FACTS[name]])
def test_the_facts_of_each_section(name, title):
    text = sections(name)[title]
    assert [fact for fact in CLAIM_FACTS[name][title] if fact not in text] == [], text


@pytest.mark.parametrize("name", sorted(PRODUCTS))
def test_the_guard_is_told_of_every_product(name):
    text = sections(name)["When your phone contradicts your location"]
    facts = (
        "before and beside its rules, which can only be stricter",
        "your phone said that its locations were made by an app",
        "asked to open the app outdoors and confirm the claim within 4 hours",
        "Your answer alone pays nothing",
        "within 2 km of the zone",
        "we look again when the 4 hours are over",
        "Two or more of these, or a claim that is one of a ring of linked claims: a person reviews it",
        "counts for nothing",
    )
    assert [fact for fact in facts if fact not in text] == [], text


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("kawaach", "your confirmation pays it once your phone has shown where it is since you were asked"),
        ("offshift", "your confirmation pays it, unless your phone has contradicted its location"),
    ],
)
def test_what_an_answer_needs_is_told(name, told):
    assert told in sections(name)["How a claim is checked"]


@pytest.mark.parametrize("name", sorted(PRODUCTS))
def test_every_trigger_plan_and_cap_is_told(name):
    product, told = PRODUCTS[name], sections(name)
    assert [title for title in told if title.startswith("Trigger ")] == [f"Trigger {t.name}" for t in product.triggers]
    assert all(f"{plan}:" in told["Plans"] for plan in product.plans)
    assert told["Limits"].count("At most") == len(product.caps)
    assert product.version in told[product.title]


@pytest.mark.parametrize("name", sorted(PRODUCTS))
def test_every_number_of_the_specification_is_told(shared, name):
    specification = (shared / "spec" / "products.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {name} - (.*?)(?=^## |\Z)", specification, re.S | re.M)
    title = PRODUCTS[name].title  # its section holds the version, digits that say nothing
    told = " ".join(f"{section} {text}" for section, text in sections(name).items() if section != title)
    said = {number(each) for each in NUMBER.findall(told)}
    missing = {}
    for line in section[1].splitlines():
        examples = next((numbers for start, numbers in EXAMPLES.items() if line.startswith(start)), set())
        found = {each for each in NUMBER.findall(line) if number(each) not in said} - examples
        if found:
            missing[line] = found
    assert missing == {}


def number(text):
    return float(text.replace(",", ""))


@pytest.mark.parametrize("width", [40, 80, 300])
def test_it_is_as_wide_as_the_terminal(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["products", "explain", "jugaad"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= max(60, min(width, 110))
    assert {line for line in lines if line and not line.startswith(" ")} == set(sections("jugaad"))


def test_every_input_of_formulas_has_words():
    """None is told by its name with spaces, which is jargon."""
    product = PRODUCTS["offshift"]
    told = {"anomaly", "trust", *POLICY, *WEEK, *CLAIM, *feature_units()}
    known = {**POLICY, **WEEK, **CLAIM, **feature_units(), **dict.fromkeys(("anomaly", "trust"), CLAIM["peers"])}
    plain = [name for name in told if name.replace("_", " ") == formula_words(Expression.parse(name, known), product)]
    assert plain == []


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "no time"),
        (1_500, "1500 milliseconds"),
        (60_000, "1 minute"),
        (5_400_000, "90 minutes"),
        (3_600_000, "1 hour"),
        (172_800_000, "48 hours"),
        (259_200_000, "3 days"),
    ],
)
def test_durations(ms, words):
    assert duration(ms) == words


def test_amounts():
    assert [rupees(each) for each in (49, 1500, 49.5)] == ["Rs 49", "Rs 1,500", "Rs 49.50"]
    assert [period(each) for each in (3_600_000, 5_400_000, 39_600_000)] == ["hour", "90 minutes", "11 hours"]
