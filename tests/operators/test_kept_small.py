"""What is kept for weeks is small, says the same when it is read again, and is bounded per policy."""

import statistics
from collections import Counter

import polars as pl
import pytest
from kit import terms, update
from kit.golden import FOLDER, SETTINGS, read_state
from kit.graph import PRODUCTS, Graph, Scripted, settings_of
from kit.streams import STREAMS, small_storm
from msgspec.structs import replace

from monsoon.bench.state import TARGET_BYTES, attributed, kept_of_policies, repeat_weekly
from monsoon.cli.main import main
from monsoon.pipelines.operators.state_migrations import OPERATOR_MIGRATIONS
from monsoon.pipelines.runtime.keyed_operator import STATE_VERSION, StateError
from monsoon.pipelines.runtime.messages import pack, pack_frame, unpack_frame
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small
from monsoon.transforms.adjudication.claims import Claim


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A storm, all of it; with a correction, riders who are in the zone under some confirmations only, holds."""
    source = Scripted(tmp_path_factory.mktemp("small") / "in", **SETTINGS)
    for stream, records in small_storm().items():
        if stream in STREAMS:
            source.say(stream, records)
    source.graph.advance(max(each["event_time"] for each in small_storm()["telemetry"]))
    return source.graph


def test_what_a_bucket_knows_of_disruptions_is_what_it_knew(played):
    restored = played.restored()
    known = 0
    for key, live in played.live["riders-evidence"].items():
        again = restored.live["riders-evidence"][key]
        for name, product_claims in live._product_claims.items():
            theirs = again._product_claims[name].disruptions
            assert theirs.keys() == product_claims.disruptions.keys()
            for identity, disruption in product_claims.disruptions.items():
                assert theirs[identity].updates == disruption.updates
                assert theirs[identity].revisions == disruption.revisions
                assert list(theirs[identity].records(name)) == list(disruption.records(name))
                known += bool(disruption.updates)
    assert known > 1


def test_claims_are_read_as_they_were_and_take_half_of_what_their_names_would(played):
    claims = [entry for entry in played.entries() if entry.kind == "claim"]
    assert claims
    for entry in claims:
        claim = unpack_small(entry.payload, Claim)
        assert unpack_small(pack_small(claim), Claim) == claim
        assert len(entry.payload) < 0.5 * len(pack(claim))


@pytest.mark.parametrize("version", range(1, STATE_VERSION + 1))
@pytest.mark.parametrize("kind", ["claim", "disruption", "policy"])
def test_what_is_damaged_is_refused_in_words(played, kind, version):
    state, _ = read_state(FOLDER / f"state-{version}")
    for keys in state.values():
        for entries in keys.values():
            for name in entries:
                if name.startswith(f"{kind}/"):
                    entries[name] = b"\xff" + entries[name][:40]
    with pytest.raises(StateError, match="state that does not fit"):
        Graph.resumed(played.settings, state, scorer=SETTINGS["scorer"])


def test_every_byte_of_claims_and_events_belongs_to_a_policy(tmp_path):
    state, _ = read_state(FOLDER / f"state-{STATE_VERSION}")
    graph = Graph.resumed(settings_of(tmp_path), state, scorer=SETTINGS["scorer"])
    kept = attributed(graph.entries(), graph.settings)
    sizes = Counter()
    for entry in graph.entries():
        sizes[entry.kind, entry.name.split("/")[1:2] == ["subscriptions"]] += len(entry.name) + len(entry.payload)
    totals = sum(kept.values(), Counter())
    assert totals["claims"] == sizes["claim", False]
    assert totals["events"] == sizes["policy", False] + sizes["memory", True]
    assert 0 < totals["disruptions"] <= sizes["disruption", False], "some concern nobody"


@pytest.mark.slow
def test_a_policy_takes_at_most_4_kb_after_four_weeks_with_a_storm_in_each(tmp_path):
    main(["simulate", "--storm", "delhi-2024-07-31-cloudburst", "--rows", "12000", "--output", str(tmp_path / "storm")])
    repeat_weekly(tmp_path / "storm", PRODUCTS)
    kept = kept_of_policies(tmp_path / "storm", PRODUCTS)
    assert {product for product, _ in kept} == PRODUCTS.keys()
    claiming = {product for (product, _), sizes in kept.items() if sizes["claims"]}
    assert claiming == PRODUCTS.keys() - {"kawaach"}, "kawaach has no trigger in this storm"
    assert statistics.median(sizes.total() for sizes in kept.values()) <= TARGET_BYTES


@pytest.mark.parametrize(
    ("paid", "reasons", "kept"),
    [([100], ("cap_partial",), ("cap_partial",)), ([100], ("paid_before_withdrawal",), ()), ([], ("cap_reached",), ())],
)
def test_claims_of_version_2_keep_the_reason_of_what_was_paid(paid, reasons, kept):
    claim = Claim("c", update("d", 0), terms(), status="approved", reasons=reasons, paid_paise=list(paid))
    # In version 2 no field was left out for having its default.
    entry = unpack_small(pack_small(claim)) | {"reasons": reasons, "paid_paise": paid}
    entry.pop("paid_reasons", None)
    migrated = OPERATOR_MIGRATIONS["adjudicate-claims"][2]({"claim/c": pack_small(entry), "compared/1": b"as it was"})
    assert unpack_small(migrated["claim/c"], Claim) == replace(claim, paid_reasons=kept)
    assert migrated["compared/1"] == b"as it was"


def test_silent_riders_of_version_2_count_where_they_held_a_policy():
    frame = pl.DataFrame({"worker_id": ["a", "b"], "bought_in_alert_window": [0.0, float("nan")]})
    migrated = OPERATOR_MIGRATIONS["witness-devices"][2]({"riders/7/0/1/000000000001": pack_frame(frame)})
    assert unpack_frame(migrated["riders/7/0/1/000000000001"])["insured"].to_list() == [True, False]
