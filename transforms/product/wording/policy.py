"""The policy wording of a product."""

from __future__ import annotations

import math

import h3

from monsoon.transforms.product.terms import (
    ALWAYS_MS,
    HOUR_MS,
    MIN_HOME_MOVE_M,
    NEVER_MS,
    Cap,
    OnceBy,
    Plan,
    Product,
)
from monsoon.transforms.product.versions import moment, since
from monsoon.transforms.product.wording.decisions import decision_section
from monsoon.transforms.product.wording.guard import guard_section
from monsoon.transforms.product.wording.phrases import (
    Section,
    alert_words,
    duration,
    formula_words,
    listed,
    plan_amounts,
    rupees,
    term_words,
)
from monsoon.transforms.product.wording.triggers import trigger_section

_PER = {
    "local_day": "for the disruptions of one day",
    "iso_week": "for the disruptions of one calendar week, Monday to Sunday",
    "coverage_period": "in one coverage period",
}
_ONCE: dict[OnceBy, str] = {
    "peril": "peril",
    "local_day_of_start": "day on which the disruption starts",
    "clock_hour_of_confirmation": "clock hour in which it is confirmed",
}
_REPORT_AGE = "90 minutes"
"""How old a rider's last report may be for presence (products.md, "Presence")."""


def policy_wording(product: Product) -> tuple[Section, ...]:
    """The policy wording of one version of a product, in sections."""
    return (
        _head(product),
        _plans(product),
        _presence(product),
        *[trigger_section(trigger, product) for trigger in product.triggers],
        _limits(product),
        _waiting(product),
        guard_section(),
        decision_section(product),
        *_syndicate(product),
    )


def _head(product: Product) -> Section:
    points = [f"Version {product.version}, in force {_in_force(product)}."]
    points.append(
        "Times of day, days and weeks are those of Asia/Kolkata. A comparison is meant literally: above is not at "
        "least."
    )
    return Section(product.title, tuple(points))


def _in_force(product: Product) -> str:
    if product.from_ms == ALWAYS_MS and product.until_ms == NEVER_MS:
        return "for all disruptions"
    until = "" if product.until_ms == NEVER_MS else f" until {moment(product.until_ms)}"
    return f"for disruptions that start {since(product.from_ms)}{until}"


def _plans(product: Product) -> Section:
    return Section("Plans", tuple(f"{name}: {_plan(plan, product)}." for name, plan in product.plans.items()))


def _plan(plan: Plan, product: Product) -> str:
    words = []
    if plan.price_inr is not None:
        words.append(rupees(plan.price_inr))
    if plan.duration_ms is not None:
        hours = plan.duration_ms / HOUR_MS
        words.append(f"for {hours:g} hours" if hours < 48 else f"for {hours:g} hours ({hours / 24:g} days)")
    names = [trigger.name for trigger in product.triggers]
    if plan.choice is not None:
        chosen = listed([f"{name}" for name in plan.triggers])
        words.append(f"covers the {plan.choice} triggers that you choose, {chosen} if you choose none")
    elif len(plan.triggers) == len(names):
        words.append(
            {1: "covers the trigger", 2: "covers both triggers"}.get(len(names), f"covers all {len(names)} triggers")
        )
    else:
        words.append(f"covers {listed(plan.triggers)}")
    units = _units(product)
    words += [
        f"{term.replace('_', ' ')} {term_words(value, units.get(term, '1'))}" for term, value in plan.terms.items()
    ]
    if plan.bridge:
        words.append("an outage of any platform counts that your telemetry named in the 90 minutes before")
    return "; ".join(words)


def _units(product: Product) -> dict[str, str]:
    """The plans' terms with their units, as the formulas that use them know them."""
    formulas = [level.pays for trigger in product.triggers for level in trigger.levels]
    formulas += [cap.limit for cap in product.caps]
    for trigger in product.triggers:
        formulas += [formula for each in trigger.supplements for formula in (each.amount, each.when)]
    return {name: str(unit) for formula in formulas for name, unit in formula.inputs if unit is not None}


def _presence(product: Product) -> Section:
    area_km2 = h3.average_hexagon_area(product.zone_resolution, unit="km^2")
    across_km = math.sqrt(2 * area_km2 / math.sqrt(3))
    size = f"{across_km:.1f} km" if across_km >= 1 else f"{across_km * 1000:.0f} m"
    area = f"{area_km2:.0f}" if area_km2 >= 10 else f"{area_km2:.2g}"
    margin = f", or at most {product.presence_margin_m:g} m outside it" if product.presence_margin_m else ""
    return Section(
        "Where you must be",
        (
            f"The map is divided into hexagonal zones, some {size} across ({area} km2; H3 resolution "
            f"{product.zone_resolution}). What sources report for a zone's center holds for the zone.",
            f"You are where your last report before the confirmation was, if it is at most {_REPORT_AGE} old: you "
            f"must be in the zone{margin}. Without such a report you are taken to be in the home zone of your policy.",
            "Your policy must be in force when the disruption starts.",
        ),
    )


def _limits(product: Product) -> Section:
    points = [_cap(cap, product) for cap in product.caps]
    points += [f"One payout per {listed(['rider', *[_ONCE[each] for each in rule]])}." for rule in product.once]
    same = " of the same peril" if product.overlap_same_peril_only else ""
    points.append(
        f"One disruption pays you once. Payouts for disruptions{same} at the same time, wherever, do not add up: a "
        "later claim pays only what it comes to beyond what your earlier ones pay."
    )
    points.append("A payout under Rs 1 is not paid. An hourly wage is an eighth of the daily wage.")
    if any("shift_earnings" in level.pays.names for trigger in product.triggers for level in trigger.levels):
        points.append(
            "Where your policy does not state the usual earnings of a shift, your daily wage takes their place."
        )
    return Section("Limits", tuple(points))


def _cap(cap: Cap, product: Product) -> str:
    return f"At most {formula_words(cap.limit, product)}{plan_amounts(cap.limit, product)} {_PER[cap.per]}."


def _waiting(product: Product) -> Section:
    points = _waiting_period(product.waiting_ms)
    if (lockout := product.lockout) is not None:
        alert = alert_words(lockout.alert, lockout.breach)
        points.append(
            f"Not eligible is a policy that was activated less than {duration(lockout.before_ms)} before the "
            f"beginning of {alert} for the zone, or after it, while the alert holds or ended less than "
            f"{duration(lockout.ended_within_ms)} ago."
        )
    if (window := product.alert_window) is not None:
        points.append(
            f"Shortly after a public alert means within {duration(window.within_ms)} of the beginning of "
            f"{alert_words(window.alert, window.breach)} for the zone, or of the readings that confirmed the "
            "disruption."
        )
    return Section("Waiting rules", tuple(points))


def _waiting_period(waiting_ms: int) -> list[str]:
    """When changes to a policy take effect, and what a gap in cover does."""
    gap = (
        "A policy counts as activated anew where it is renewed or upgraded after its cover had ended, be it by a moment"
    )
    if not waiting_ms:
        return ["What you change of your policy counts at once.", f"{gap}."]
    wait = duration(waiting_ms)
    return [
        f"What you change of your policy counts at once where it lowers what could be paid. What raises it counts for "
        f"disruptions that start {wait} or more after the change, and until then what counted before: a plan that pays "
        "more or covers a trigger more, a larger daily wage, larger usual earnings of a shift, more usual orders per "
        "hour, orders that vary less from hour to hour, a number of usual orders where you had stated none.",
        f"A new home counts {wait} after the change too, if it is more than {MIN_HOME_MOVE_M / 1000:g} km from a home "
        f"that counted in the {wait} before it. Your platform and your weekly slab count at once.",
        f"What you state first counts at once, and so does what you state when your cover had ended for {wait} or "
        f"more. {gap}; after a gap of less than {wait} what counted before it goes on counting.",
    ]


def _syndicate(product: Product) -> tuple[Section, ...]:
    rule = product.syndicate
    if rule is None:
        return ()
    return (
        Section(
            "Syndicate alert",
            (
                f"An alert is raised for a linked group of riders on at least {rule.needed} of 5 kinds of evidence: "
                f"{rule.subscriptions} or more subscriptions within {duration(rule.subscriptions_within_ms)} of the "
                f"alert; {rule.riders_on_a_device} or more riders on one device; the whole group on at most "
                f"{rule.towers} cell towers; several riders paid to at most {rule.payout_accounts} accounts; phones "
                "at rest across the group. It concerns the unpaid claims of that group and nobody else's.",
            ),
        ),
    )
