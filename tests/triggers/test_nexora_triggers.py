"""Nexora's five triggers, through the product file."""

import pytest
from kit import at, evaluate, product_of, reading

NEXORA = product_of("nexora")


@pytest.mark.parametrize(
    ("trigger", "metric", "below", "above"),
    [
        ("rain", "rain_mm_h", 20, 20.01),
        ("heat", "temperature_c", 43, 43.01),
        ("aqi", "aqi", 300, 301),
        ("flood", "flood_alert", 0, 1),
        ("bandh", "curfew", 0, 1),
    ],
)
def test_one_provider_that_breaches_suffices_unless_it_is_fallback(trigger, metric, below, above):
    assert evaluate(NEXORA, trigger, [reading(metric, below, 0, provider="admin")]) == []
    assert evaluate(NEXORA, trigger, [reading(metric, above, 0, provider="admin", quality="fallback")]) == []
    (confirmed, _) = evaluate(NEXORA, trigger, [reading(metric, above, 0, provider="admin")])
    assert (confirmed.event.start_ms, confirmed.event.confirmed_at_ms) == (at(0), at(0))
    assert (confirmed.event.severity, confirmed.event.providers) == (above, ("admin",))


def test_a_flood_needs_an_official_voice_and_a_bandh_the_admin():
    assert evaluate(NEXORA, "flood", [reading("flood_alert", 1, 0, quality="secondary")]) == []
    assert evaluate(NEXORA, "bandh", [reading("curfew", 1, 0, provider="news")]) == []


def test_a_named_provider_of_quality_fallback_is_not_helped_by_others():
    emitted = [
        reading("curfew", 1, 0, provider="admin", quality="fallback"),
        reading("curfew", 1, 0, provider="police"),
    ]
    assert evaluate(NEXORA, "bandh", emitted) == []
