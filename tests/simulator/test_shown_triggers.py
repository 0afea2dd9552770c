"""Every trigger of every product is confirmed by some storm, and storms show what they say they show."""

from collections import defaultdict

import pytest
from kit.examples import mostly_slow

from monsoon.pipelines.local.replay import replay
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.sources.simulator import available_storms, load_storm, simulate, storms_that_show

PRODUCTS = load_products()
STORMS = {name: load_storm(name) for name in available_storms()}
SHOWING = sorted(name for name, storm in STORMS.items() if set(storm.shows) & set(PRODUCTS))


def test_the_storms_show_every_trigger_of_every_product():
    shown = defaultdict(set)
    for storm in STORMS.values():
        for name, triggers in storm.shows.items():
            shown[name] |= set(triggers)
    for name, product in PRODUCTS.items():
        assert shown[name] == {trigger.name for trigger in product.triggers}, name


@pytest.mark.parametrize("name", sorted({product for storm in STORMS.values() for product in storm.shows}))
def test_a_products_storms_are_played_in_the_order_of_time(name):
    storms = storms_that_show(name)
    starts = [storm.time_ms(storm.modeled.riders.start) for storm in storms]
    assert starts == sorted(starts)
    assert storms


@pytest.fixture(scope="module", params=mostly_slow(sorted(SHOWING, key=lambda name: STORMS[name].modeled.riders.count)))
def replayed(request, tmp_path_factory):
    """(storm, its disruptions' and claims' folder), replayed with every product that it shows."""
    storm = STORMS[request.param]
    folder = tmp_path_factory.mktemp("shown")
    simulate(storm, storm.modeled.riders.count, 1, folder / "in")
    products = sorted(set(storm.shows) & set(PRODUCTS))
    summary = replay(folder / "in", folder / "out", PRODUCTS, products, load_scorer())
    return storm, folder / "out", summary


def records(folder, stream):
    import json

    return [json.loads(line) for line in (folder / stream / "part-00000.jsonl").read_text().splitlines()]


def test_what_a_storm_shows_is_confirmed_and_paid(replayed):
    storm, folder, _ = replayed
    disruptions = {record["disruption_id"]: record for record in records(folder, "disruptions")}
    confirmed = {(d["product"], d["trigger"]) for d in disruptions.values() if d["state"] != "withdrawn"}
    claims = {record["claim_id"]: record for record in records(folder, "claims")}
    paid = {
        (claims[payout["claim_id"]]["product"], disruptions[claims[payout["claim_id"]]["disruption_id"]]["trigger"])
        for payout in records(folder, "payouts")
    }
    shown = {(product, trigger) for product, triggers in storm.shows.items() for trigger in triggers}
    assert shown
    assert shown <= confirmed
    assert shown <= paid


def test_nothing_simulated_is_unusable(replayed):
    _, _, summary = replayed
    for stream, counts in summary["streams"].items():
        assert counts["nulled"] == {}, stream
        assert counts["dead"] == 0, stream
