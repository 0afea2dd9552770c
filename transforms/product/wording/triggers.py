"""One trigger in words: when it pays, who says so, how long it must last, how much, for whom."""

from __future__ import annotations

from monsoon.transforms.product.terms import (
    ActivityTest,
    Consensus,
    Level,
    OrderDrop,
    Product,
    SilentQuorum,
    Supplement,
    Trigger,
)
from monsoon.transforms.product.wording.phrases import (
    Section,
    condition,
    duration,
    formula_words,
    listed,
    period,
    plan_amounts,
    sentence,
    threshold,
)

_PER = {"local_day": "day", "iso_week": "calendar week", "coverage_period": "coverage period"}
_ALL_QUALITIES = {"official", "secondary", "fallback"}


def trigger_section(trigger: Trigger, product: Product) -> Section:
    """The wording of one trigger."""
    points = [
        f"When: {_when(trigger)}.",
        *([f"How long: {_how_long(trigger)}"] if trigger.sustained_ms or trigger.hours else []),
        f"Who says so: {sources(trigger.consensus)}.",
        *_also(trigger),
        *_telemetry_condition(trigger, product),
        *([_activity(trigger.activity)] if trigger.activity is not None else []),
        *_pays(trigger, product),
        *[_supplement(each, product) for each in trigger.supplements],
        f"Plans: {_plans(trigger, product)}.",
        f"Until: it has ended when this has been absent for {duration(trigger.clear_after_ms)}.",
    ]
    return Section(f"Trigger {trigger.name}", tuple(points))


def _when(trigger: Trigger) -> str:
    mildest = trigger.levels[0]
    text = condition(trigger.metric, mildest.breach)
    for zone, breach in trigger.zone_breaches.items():
        text += f"; in the zone {zone} when it {threshold(trigger.metric, breach)}"
    if trigger.platform_only:
        text += "; only for riders whose policy names that platform"
    return text


def _how_long(trigger: Trigger) -> str:
    text = ""
    if trigger.sustained_ms:
        gap = duration(trigger.max_gap_ms)
        text = f"{duration(trigger.sustained_ms)} without a break, by each source's own readings, no two of them more "
        text += f"than {gap} apart."
    if trigger.hours:
        hours = listed([f"{_clock(first)} and {_clock(last)}" for first, last in trigger.hours], "or between")
        text += f" Only readings between {hours} count; once it is confirmed, the hour no longer matters."
    return text.strip()


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def sources(ways: tuple[Consensus, ...]) -> str:
    """`2 independent sources at the same time, or 1 official source`."""
    text = listed([_sources(way) for way in ways], "or")
    fallback = any("fallback" in way.quality for way in ways)
    if not fallback:
        return text
    if all(way.providers == 1 for way in ways):
        return f"{text}; cached or modeled data alone is not enough"
    return f"{text}; cached or modeled data may be among them, but never alone"


def _sources(way: Consensus) -> str:
    quality = "" if set(way.quality) == _ALL_QUALITIES else listed(way.quality, "or") + " "
    if way.named and len(way.named) == way.providers:
        who = f"the {quality}source {way.named[0]}" if way.providers == 1 else f"the {quality}sources "
        return who if way.providers == 1 else f"{who}{listed(way.named)}, all at the same time"
    count = (
        f"{way.providers} {quality}source" if way.providers == 1 else f"{way.providers} independent {quality}sources"
    )
    of = f" of {listed(way.named)}" if way.named else ""
    return f"{count}{of}" + ("" if way.providers == 1 else " at the same time")


def _also(trigger: Trigger) -> list[str]:
    return [
        f"Also: at that moment {condition(also.metric, also.breach)}, says {sources(also.consensus)}."
        for also in trigger.also
    ]


def _telemetry_condition(trigger: Trigger, product: Product) -> list[str]:
    asked = trigger.telemetry_condition
    if isinstance(asked, SilentQuorum):
        model = ""
        if asked.model is not None:
            model = f" A model ({asked.model}) must call this silence a real outage too."
        return [
            "Also: the platform's riders must have fallen silent. Counted are those who worked in the zone between "
            f"{duration(asked.before_ms)} and {duration(asked.silent_ms)} before, and since have reported "
            f"nothing, or only offline; their trust scores, of riders {_counted(asked)}, must add up to "
            f"{asked.reach:g}.{model}"
        ]
    if isinstance(asked, OrderDrop):
        return [
            f"Also: the zone's orders of the last {period(asked.window_ms)} must be down by at least "
            f"{asked.min_drop * 100:g}%, compared with the same hour of the week in the last {asked.weeks} "
            f"weeks (at least {asked.min_weeks} of them known; else with what the insured riders seen in the "
            f"zone in the last {period(asked.seen_ms)} usually do in an hour)."
        ]
    return []


def _counted(quorum: SilentQuorum) -> str:
    """Which silent riders count."""
    words = [f"with at least {quorum.min_trust:g}"]
    if quorum.min_measured:
        words.append(f"of whose score parts with a weight of at least {quorum.min_measured:g} of all were measured")
    if quorum.insured_for_ms is not None:
        words.append(f"whose policy has been in force for at least {duration(quorum.insured_for_ms)} without a gap")
    return listed(words)


def _activity(test: ActivityTest) -> str:
    steps = []
    for each in test.thresholds:
        if each.above < 0:
            steps.append(f"else {each.sigma:g}")
            continue
        least = "at least" if each.inclusive else "more than"
        steps.append(f"{each.sigma:g} where {least} {each.above * 100:g}% of the riders around you dropped as well")
    steady = ""
    if test.min_deviation:
        steady = (
            f" A standard deviation of less than {test.min_deviation:g} x your mean counts as that much: orders are "
            "counts, and none is steadier."
        )
    return (
        f"Also: your own orders must have dropped. Every {duration(test.every_ms)} while it lasts, your orders of "
        f"the last {period(test.window_ms)} are compared with your mean; the drop must reach, in your own standard "
        f"deviations, {'; '.join(steps)}. A rider dropped who lost at least {test.severe_drop * 100:g}% of the usual "
        "orders; compared are riders of your platform seen in the zone then, without those of your own ring. With "
        f"fewer than {test.min_peers} of them the drop must reach {test.few_peers_sigma:g}.{steady} If your "
        "orders never dropped so far, nothing is paid; if they are not known, a person looks at the claim."
    )


def _pays(trigger: Trigger, product: Product) -> list[str]:
    points = []
    for level in trigger.levels:
        head = (
            "Pays"
            if level.name is None
            else f"Pays at level {level.name}, when it {threshold(trigger.metric, level.breach)}"
        )
        points.append(f"{head}: {_amount(level, trigger, product)}.")
    if len(trigger.levels) > 1:
        points.append("If the level rises while it lasts, the difference is added.")
    if trigger.pays_by_duration:
        points.append(
            "It is paid when it has ended: the hours, fractions included, count from its start to the moment it was "
            "first absent."
        )
    return points


def _amount(level: Level, trigger: Trigger, product: Product) -> str:
    covering = [
        name for name, plan in product.plans.items() if trigger.name in plan.triggers or plan.choice is not None
    ]
    return formula_words(level.pays, product) + plan_amounts(level.pays, product, covering)


def _supplement(each: Supplement, product: Product) -> str:
    once = "" if each.once_per is None else f", once per {_PER[each.once_per]}"
    plans = "" if set(each.plans) == set(product.plans) else f", in {listed(each.plans)}"
    return sentence(
        f"Pays on top ({each.name.replace('_', ' ')}{plans}{once}): "
        f"{formula_words(each.amount, product)}{plan_amounts(each.amount, product)}, if "
        f"{formula_words(each.when, product)}; decided when it has ended. What your policy does not state is not "
        "guessed: then nothing is added"
    )


def _plans(trigger: Trigger, product: Product) -> str:
    words = []
    for name, plan in product.plans.items():
        if trigger.name in plan.triggers:
            words.append(f"{name} (unless you chose others)" if plan.choice is not None else name)
        elif plan.choice is not None:
            words.append(f"{name} (if you chose it)")
    bridged = [name for name, plan in product.plans.items() if plan.bridge]
    if trigger.platform_only and bridged:
        extra = (
            f"in {listed(bridged)} an outage of any platform counts that your telemetry named in the 90 minutes before"
        )
        return f"{', '.join(words)}; {extra}"
    return ", ".join(words)
