"""Two versions of a product live at once: each disruption is judged by the version in force at its start."""

from datetime import datetime

import pytest
from kit import at, reading_record
from kit.graph import Graph, by_both_engines, same
from kit.scores import EveryScoreApproves
from kit.streams import policy_record, report, write_streams

from monsoon.pipelines.local.replay import read_inputs, run_product
from monsoon.pipelines.results import Outcome
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import StateError
from monsoon.sources.files import STREAMS, FilePart
from monsoon.sources.product_files import load_products
from monsoon.transforms.product import ProductError

CHANGE = "2024-06-28T13:00:00+05:30"
CHANGE_MS = round(datetime.fromisoformat(CHANGE).timestamp() * 1000)
"""An hour after minute 0 of the kit."""


@pytest.fixture(scope="module")
def versions(root_text, tmp_path_factory):
    """Rain before the change, rain that begins before it and is there after it, and rain after; a threshold that the
    new version raises, and a payout."""
    folder = tmp_path_factory.mktemp("versions")
    later = folder / "nexora-2024.yaml"
    text = root_text.replace('breach: "> 20"', 'breach: "> 30"').replace("pays: 400 * INR", "pays: 444 * INR")
    later.write_text(text.replace("zone_resolution:", f"in_force_from: {CHANGE}\nzone_resolution:"))
    rain = [(-300, 25.0), (-290, 0.0), (50, 25.0), (70, 25.0), (90, 0.0), (1500, 25.0), (1510, 35.0), (1530, 0.0)]
    streams = {
        "telemetry": [report("w", minutes) for minutes in range(-400, 1600, 20)],
        "oracle_readings": [reading_record("rain_mm_h", value, minutes) for minutes, value in rain],
        "subscriptions": [policy_record("w", "p", -9_000, product="nexora")],
    }
    return write_streams(folder / "in", streams), load_products(["nexora"], [later])


@pytest.fixture(scope="module")
def outcome(versions):
    source, products = versions
    result = Outcome()
    run_product(products["nexora"], read_inputs(source, products), EveryScoreApproves(), result)
    return products["nexora"], result


@pytest.fixture(scope="module")
def root_text(request):
    return (request.config.rootpath / "products" / "nexora.yaml").read_text(encoding="utf-8")


def test_each_disruption_has_the_version_of_its_start(outcome):
    product, result = outcome
    old, new = product.versions
    start = {record["disruption_id"]: record["start"] for record in result.disruptions}
    claims = [(start[c["disruption_id"]], c["product_version"], c["payout_inr"]) for c in result.claims]
    assert {(begun < CHANGE_MS, version) for begun, version, _ in claims} == {(True, old.version), (False, new.version)}
    assert (old.until_ms, new.from_ms) == (CHANGE_MS, CHANGE_MS)


def test_the_old_threshold_and_payout_hold_to_the_change_and_the_new_ones_after_it(outcome):
    _, result = outcome
    by_start = sorted({record["start"]: record["severity"] for record in result.disruptions}.items())
    assert [severity for _, severity in by_start] == [25.0, 25.0, 35.0]
    paid = {claim["disruption_id"]: claim["payout_inr"] for claim in result.claims}
    start = {record["disruption_id"]: record["start"] for record in result.disruptions}
    assert sorted((start[each], amount) for each, amount in paid.items())[-1][1] == 444
    assert sorted((start[each], amount) for each, amount in paid.items())[0][1] == 400


def test_the_steps_judge_versions_as_the_local_engine_does(versions):
    expected, outcome = by_both_engines(*versions)
    assert len({claim["product_version"] for claim in expected.claims}) == 2
    same(outcome, expected)


# A version that is added while a job runs.


def graph_of(folder, products, buckets=2, **keys):
    return Graph(JobConfig(products, products, folder / "reference", None, buckets, False, **keys))


def half_way(folder, products, **keys):
    """A graph that was told all there is, and worked to ten minutes into the second rain: that is the oldest version's,
    and open."""
    graph = graph_of(folder, products, **keys)
    for stream in STREAMS:
        for path in sorted((folder / stream).glob("*.jsonl")):
            graph.read(stream, FilePart(path))
        graph.advance(-(2**61))
    graph.advance(at(59))
    return graph


def test_a_resumed_job_gives_each_version_the_state_that_it_made(versions):
    """Up to here one version ran; the next joins, is told of all zones, and leaves what is open to the one before."""
    source, both = versions
    graph = half_way(source, load_products(["nexora"]))
    assert [record["state"] for record in graph.collected().outcome.disruptions][-1] == "confirmed"
    resumed = Graph.resumed(graph_of(source, both).settings, graph.state, graph.results)
    resumed.advance(at(60))
    again = Graph.resumed(resumed.settings, resumed.state, resumed.results)
    expected, _ = by_both_engines(source, both)
    outcome = again.finish().outcome
    assert len({claim["product_version"] for claim in outcome.claims}) == 2
    same(outcome, expected)


def test_a_version_that_joins_takes_no_earlier_reading_whatever_shares_its_key(versions, tmp_path):
    """Rain above both thresholds from before the change on: the new version knows of it from the next reading on."""
    _, both = versions
    rain = [(-300, 25.0), (-290, 0.0), (50, 35.0), (70, 35.0), (90, 0.0)]
    streams = {
        "telemetry": [report("w", minutes) for minutes in range(-400, 200, 20)],
        "oracle_readings": [reading_record("rain_mm_h", value, minutes) for minutes, value in rain],
        "subscriptions": [policy_record("w", "p", -9_000, product="nexora")],
    }
    source = write_streams(tmp_path / "in", streams)
    outcomes = []
    for keys in ({"by_region": False}, *({"buckets": buckets} for buckets in (1, 2, 3))):
        before = half_way(source, load_products(["nexora"]), **keys)
        resumed = Graph.resumed(graph_of(source, both, **keys).settings, before.state, before.results)
        resumed.advance(at(65))
        outcomes.append(Graph.resumed(resumed.settings, resumed.state, resumed.results).finish().outcome)
    for outcome in outcomes[1:]:
        same(outcome, outcomes[0])
    starts = {record["start"] for record in outcomes[0].disruptions}
    assert {at(50), at(70)} <= starts


def test_the_oldest_version_keeps_the_plain_names_of_triggers(versions):
    source, both = versions
    old, new = both["nexora"].versions
    alone, line = graph_of(source, load_products(["nexora"])).settings, graph_of(source, both).settings
    assert alone.triggers.keys() == {f"nexora/{trigger.name}" for trigger in old.triggers}
    assert line.trigger_of_id.items() > alone.trigger_of_id.items()
    assert {name: version for name, (version, _) in line.triggers.items()} == {
        **{f"nexora/{trigger.name}": old for trigger in old.triggers},
        **{f"nexora@{new.version}/{trigger.name}": new for trigger in new.triggers},
    }


def test_state_of_a_version_that_runs_no_more_is_refused_in_words(versions):
    source, both = versions
    graph = half_way(source, both)
    with pytest.raises(
        StateError, match="judge-triggers: state of a trigger that no running product has, in no version"
    ):
        Graph.resumed(graph_of(source, load_products(["nexora"])).settings, graph.state)


def test_versions_of_different_margins_find_their_riders_on_both_engines(versions, root_text, tmp_path):
    """The new version counts riders up to 500 m outside a zone; one who stands there claims under it alone."""
    source, _ = versions
    later = tmp_path / "later.yaml"
    text = root_text.replace("zone_resolution:", f"in_force_from: {CHANGE}\npresence_margin: 5000 m\nzone_resolution:")
    later.write_text(text)
    products = load_products(["nexora"], [later])
    expected, outcome = by_both_engines(source, products)
    zones = {version: set() for version in ("old", "new")}
    for record in expected.disruptions:
        zones["old" if record["start"] < CHANGE_MS else "new"].add(record["zone"])
    assert len(zones["new"]) > len(zones["old"])
    same(outcome, expected)


def test_versions_with_zones_of_different_sizes_are_refused(root_text, tmp_path):
    later = tmp_path / "later.yaml"
    later.write_text(root_text.replace("zone_resolution: 7", f"in_force_from: {CHANGE}\nzone_resolution: 8"))
    with pytest.raises(ProductError, match=r"later\.yaml: zone_resolution 8, but 7 in .*nexora\.yaml"):
        load_products(["nexora"], [later])
