"""What a claim rests on: its product and plan, the disruption with the readings that confirmed it, presence."""

from __future__ import annotations

from collections.abc import Mapping

from monsoon.transforms.calendar import local_day, local_minute
from monsoon.transforms.explanation.records import ClaimRecords, Record, terms_of
from monsoon.transforms.explanation.text import number, quantity
from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.plain_words import peril_in_words
from monsoon.transforms.product import Product, Trigger
from monsoon.transforms.product.wording.phrases import Section, condition, duration
from monsoon.transforms.product.wording.triggers import sources

_MODES = {
    "fresh": "fresh readings",
    "stale": "only readings past their time to live",
    "conflict": "fresh providers on both sides of the threshold",
    "outage": "no reading in the last 24 hours",
}


def product_section(claim: Record, product: Product | None) -> Section:
    """The product, its version and the rider's plan."""
    name, version = claim["product"], claim["product_version"]
    points = [f"Product: {name}, version {version}" + (f" - {product.title}" if product is not None else "")]
    if product is None:
        points.append(
            "No product file of this version is at hand, so its rules and thresholds are not shown; give the file with "
            "--product-file."
        )
    else:
        points.append(f"monsoon products explain {name} --version {version} prints all its rules.")
    points.append(f"Plan: {claim.get('plan') or 'not stated'}; policy {claim['policy_id']}, rider {claim['worker_id']}")
    terms = terms_of(claim)
    if (wage := terms.get("daily_wage_inr")) is not None:
        tier = terms.get("trust_tier")
        trust = "no trust tier is stated" if tier is None else f"trust tier {tier} of 5"
        points.append(f"The policy states a daily wage of {quantity(wage, 'INR')}; {trust}.")
    points.append(f"Model of the scores: {claim['model_version']}")
    return Section("Product", tuple(points))


def disruption_section(records: ClaimRecords, product: Product | None) -> Section:
    """The disruption: trigger, severity, the readings that confirmed it, its revisions."""
    claim, disruption = records.claim, records.disruption
    title = f"Disruption {claim['disruption_id']}"
    if disruption is None:
        return Section(title, ("The folder has no record of this disruption; it may be incomplete.",))
    trigger = _trigger(disruption, product)
    unit = "" if trigger is None or trigger.metric not in METRICS else METRICS[trigger.metric].unit
    level = f"; its level now: {disruption['level']}" if disruption.get("level") else ""
    platform = f", platform {disruption['platform']}" if disruption.get("platform") else ""
    points = [
        f"{peril_in_words(disruption['peril'])[:1].upper()}{peril_in_words(disruption['peril'])[1:]} in zone "
        f"{disruption['zone']} (an H3 cell){platform}; trigger {disruption['trigger']}",
        f"Began {local_minute(disruption['start'])}, confirmed {local_minute(disruption['confirmed_at'])}, "
        f"{_end(records.disruptions[-1])}",
        "Severity when it was first confirmed (the most extreme value that all confirming sources had reached): "
        f"{quantity(disruption['severity'], unit)}{level}",
    ]
    if trigger is not None:
        for each in trigger.levels:
            named = f"level {each.name}: " if each.name is not None else ""
            points.append(f"  it had to reach: {named}{condition(trigger.metric, each.breach)}")
        if trigger.sustained_ms:
            points.append(f"  for: {duration(trigger.sustained_ms)} without a break")
        points.append(f"  said by: {sources(trigger.consensus)}")
    providers, readings = disruption["providers"], disruption["reading_ids"]
    points.append(f"Confirmed by {len(providers)} source{'s' * (len(providers) != 1)}: {', '.join(providers)}")
    points.append("Readings that confirmed it (the record names them; their values are in the input):")
    points += [f"  {each}" for each in readings] or ["  none is named"]
    for metric, mode in (disruption.get("oracle_modes") or {}).items():
        if mode is not None:
            points.append(f"Trust in {metric} then: {mode} ({_MODES.get(mode, 'unknown')})")
    if len(records.disruptions) > 1:
        points.append("Revisions of the disruption:")
        points += [f"  {_revision(each, unit)}" for each in records.disruptions]
    return Section(title, tuple(points))


def presence_section(records: ClaimRecords, product: Product | None) -> Section:
    """What is known of the rider's presence, which the record does not state."""
    claim = records.claim
    points = [f"The claim is about zone {claim['zone']}."]
    if product is not None:
        margin = f", or at most {number(product.presence_margin_m)} m outside it" if product.presence_margin_m else ""
        points.append(
            "The rule: a rider is where the last report of the 90 minutes before the confirmation was, and must be in "
            f"the zone{margin}; without such a report the rider is taken to be in the home zone of the policy."
        )
    else:
        points.append("The rider was present by the product's rule, or no claim would have been opened.")
    points.append("Which of the two it was here, and when the report was made, the record does not state.")
    return Section("Presence", tuple(points))


def activity_sections(claim: Record) -> tuple[Section, ...]:
    """The activity test of the rider's own orders, of a claim that has one."""
    activity = terms_of(claim).get("activity")
    if not isinstance(activity, Mapping):
        return ()
    points = [f"The rider's own orders must have dropped: {'they did' if activity.get('met') else 'not shown'}."]
    if isinstance(at_ms := activity.get("at"), int):
        points.append(f"As of {local_minute(at_ms)}:")
    for name, words in _ACTIVITY.items():
        if name in activity:
            points.append(f"  {words}: {quantity(activity[name], '1')} ({name})")
    return (Section("Activity test", tuple(points)),)


_ACTIVITY = {
    "drop": "drop of the orders, as a share of the rider's mean",
    "sigma": "the same in the rider's own standard deviations",
    "threshold": "standard deviations that it had to reach",
    "share": "share of the riders around that had a severe drop too",
    "peers": "riders to compare with",
    "rain": "the trigger's metric then",
}


def _trigger(disruption: Record, product: Product | None) -> Trigger | None:
    if product is None:
        return None
    return next((each for each in product.triggers if each.name == disruption["trigger"]), None)


def _end(disruption: Record) -> str:
    if disruption["state"] == "withdrawn":
        return "withdrawn since, because readings were corrected"
    end_ms, absent_ms = disruption.get("end"), disruption.get("absent_since")
    if end_ms is None:
        return "not over yet"
    absent = f", absent since {local_minute(absent_ms)}" if absent_ms is not None else ""
    return f"ended {local_minute(end_ms)}{absent}"


def _revision(each: Record, unit: str) -> str:
    at_ms = each.get("revised_at")
    level = f", level {each['level']}" if each.get("level") else ""
    at = f" at {local_minute(at_ms)}" if at_ms is not None else f" of {local_day(each['confirmed_at'])}"
    return f"{each['revision']}{at}: {each['state']}, {quantity(each['severity'], unit)}{level}"
