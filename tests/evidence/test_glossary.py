"""The glossary is generated from contracts and feature list: `python tests/evidence/test_glossary.py` writes it."""

import json
import math
from pathlib import Path

from monsoon.transforms.evidence.features import FEATURES, Feature
from monsoon.transforms.guard.signals import SIGNALS, Condition

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"

INTRODUCTION = """# Glossary

Names of fields and features, each with unit, range and the meaning of null, and of the guard's signals. The page is
generated from `contracts/`, `transforms/evidence/features.py` and `transforms/guard/signals.py`; a test checks that it
is current.

## Features of a claim

Each is a number or null, with the number of reports from which it was measured. Null never points to fraud. "Fraud at"
is the end of the range that does. Windows, minimum counts and tolerances are in `transforms/evidence/limits.py` and
[interpretations](interpretations.md#evidence).

| feature | group | unit | range | fraud at | meaning | null when |
|---|---|---|---|---|---|---|
"""

WORDS_OF_RINGS = {
    "resource": "what riders may share: one of the kinds in `KINDS`, with a name",
    "sighting": "a resource in a report of a rider's phone",
    "stay": "a rider's sightings of one resource, each at most 15 min after the one before; from first to last, ms",
    "weight": "how much a shared resource links two riders; millionths, 0..6,999,999 by kind; an edge has 7,000,000",
    "edge": "two claims of two riders, in each other's surroundings, that share enough weight",
    "surroundings": "claims of a product and trigger, at most 6 h apart, in one cell of resolution 5 or neighbors",
    "clique": "claims on one payout account and one phone of more than 25 riders each, of which every two are an edge",
    "session": "a rider's claims of which no two neighbors in time are more than 6 h apart: a node of the graph",
    "ring": "a connected part of the 2-core of sessions, in which every session has edges to two others",
    "risk": "of a raised ring: how unlike honest linked groups it is, 0..1, one less a p-value; decides about no claim",
    "held": "a claim attached to a ring by one edge; null standing: the claim has no edge to a ring",
}
"""Code, tests and documents use these words of rings in this sense."""


SIGNALS_INTRODUCTION = """
## Signals of the guard

Each is strong, clear or null (not measured), with the value, the threshold and the number of reports on which it rests
(`transforms/guard/signals.py`, [record 62](adr/0062-signals-of-the-guard.md)). It is strong where one of its conditions
holds. Null is never strong. `ring` is 1 for a member of a ring; `riders_on_payout_account` counts riders of no squad in
common on the claim's payout account.

| signal | condition | over at least |
|---|---|---|
"""


def render() -> str:
    text = INTRODUCTION + "".join(_feature(feature) for feature in FEATURES)
    text += SIGNALS_INTRODUCTION
    text += "".join(f"| {name} | {_condition(each)} |\n" for name, conditions in SIGNALS.items() for each in conditions)
    text += "\n## Words of rings (`transforms/rings/`)\n\n| word | meaning |\n|---|---|\n"
    text += "".join(f"| {word} | {meaning} |\n" for word, meaning in WORDS_OF_RINGS.items())
    for path in sorted(set((ROOT / "contracts").glob("*.schema.json")) - {ROOT / "contracts" / "product.schema.json"}):
        schema = json.loads(path.read_text(encoding="utf-8"))
        text += f"\n## {schema['title'].removesuffix(' v1').capitalize()} (`contracts/{path.name}`)\n\n"
        text += "| field | type | range | meaning | required |\n|---|---|---|---|---|\n"
        for name, field in schema["properties"].items():
            required = "yes" if name in schema.get("required", ()) else "no"
            meaning = field.get("description", "").replace("|", "/")
            text += f"| `{name}` | {_type(field)} | {_range(field)} | {meaning} | {required} |\n"
    return text


def _feature(feature: Feature) -> str:
    low, high = ("" if math.isinf(end) else f"{end:g}" for end in (feature.low, feature.high))
    bounds = f"{low}..{high}" if low or high else "any"
    return (
        f"| `{feature.name}` | {feature.group} | {feature.unit} | {bounds} | {feature.fraud} | {feature.meaning} "
        f"| {feature.null} |\n"
    )


def _condition(condition: Condition) -> str:
    comparisons = [each for each in (condition, condition.also) if each]
    holds = " and ".join(f"`{each.feature}` {each.comparison} {each.threshold:g}" for each in comparisons)
    return f"{holds} | {f'{condition.min_reports} reports' if condition.min_reports else ''}"


def _type(field: dict) -> str:
    kinds = field.get("type", "string")
    return " or ".join([kinds] if isinstance(kinds, str) else kinds)


def _range(field: dict) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"] if value is not None)
    if "minimum" in field or "maximum" in field:
        return f"{field.get('minimum', '')}..{field.get('maximum', '')}"
    if "maxLength" in field:
        return f"{field.get('minLength', 0)}..{field['maxLength']} characters"
    return ""


def test_glossary_is_current():
    assert GLOSSARY.read_text(encoding="utf-8") == render(), "run: python tests/evidence/test_glossary.py"


def test_every_feature_is_described():
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert all(feature.meaning and feature.null and feature.low < feature.high for feature in FEATURES)


if __name__ == "__main__":
    GLOSSARY.write_text(render(), encoding="utf-8")
