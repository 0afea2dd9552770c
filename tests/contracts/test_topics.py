"""The topics agree with the contracts, with the streams of the engine, and with themselves; keys are as they say."""

import json

import h3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from validation.lines import GOOD, hostile_lines, line_of, with_changes

from monsoon.contracts.topics import FOREVER_MS, INPUT_TOPICS, OUTPUT_TOPICS, TOPICS, key_of, topic_name
from monsoon.pipelines.results import Outcome
from monsoon.sources.files import INPUT_STREAMS
from monsoon.sources.topic_keys import line_key, reading_key
from monsoon.transforms.validation.fields import CONTRACTS

OF_FILES = {"dispatch", "product", "provider", "settings", "storm"}
"""Contracts of files that people write."""
OF_OUTPUT_FOLDERS = {"drift_report"}
"""Contracts of streams that are made from an output folder, and come by no topic."""


@pytest.fixture(scope="module")
def schemas(root):
    """Each contract by name."""
    return {
        path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8"))
        for path in (root / "contracts").glob("*.schema.json")
    }


def test_every_contract_of_a_stream_has_one_topic(schemas):
    contracts = [topic.contract for topic in TOPICS.values() if topic.contract is not None]
    assert sorted(contracts) == sorted(schemas.keys() - OF_FILES - OF_OUTPUT_FOLDERS)


def test_topics_are_the_streams_of_the_engine():
    assert {topic.stream: topic.contract for topic in INPUT_TOPICS} == CONTRACTS
    assert {topic.stream for topic in INPUT_TOPICS} == set(INPUT_STREAMS)
    assert {topic.stream for topic in OUTPUT_TOPICS} == {*Outcome.__dataclass_fields__, "dead_letters"}
    assert [topic.stream for topic in TOPICS.values() if topic.direction == "control"] == ["control"]
    assert all(stream == topic.stream for stream, topic in TOPICS.items())


def test_keys_and_revisions_are_required_fields_of_the_contract(schemas):
    for topic in TOPICS.values():
        required = schemas[topic.contract]["required"] if topic.contract else []
        assert set(topic.key_fields) <= set(required), topic.stream
        if topic.key_fields:
            assert topic.key == "/".join(topic.key_fields)
        if topic.direction in ("out", "payments"):
            assert topic.revision_field == ("revision" if "revision" in required else None), topic.stream


def test_what_a_broker_is_told():
    for topic in TOPICS.values():
        assert 1 <= topic.partitions <= 4
        assert topic.retention_ms == FOREVER_MS or topic.retention_ms >= 24 * 3_600_000
        compacted = topic.stream == "features"
        assert topic.configuration == {
            "cleanup.policy": "compact,delete" if compacted else "delete",
            **({"min.compaction.lag.ms": str(7 * 24 * 3_600_000)} if compacted else {}),
            "retention.ms": str(topic.retention_ms),
            "message.timestamp.type": "CreateTime" if topic.direction == "in" else "LogAppendTime",
        }
    assert topic_name("claims", "test-") == "test-claims"
    with pytest.raises(KeyError):
        topic_name("weather")


@pytest.mark.parametrize(
    ("stream", "record", "key"),
    [
        ("disruptions", {"disruption_id": "d-1", "revision": 3}, "d-1"),
        ("claims", {"claim_id": "c-1", "revision": 0}, "c-1"),
        ("payouts", {"reference_id": "r-1", "claim_id": "c-1", "instalment": 1}, "r-1"),
        ("notifications", {"notification_id": "n-1"}, "n-1"),
        ("reserve_alerts", {"alert_id": "a-1"}, "a-1"),
        ("syndicate_alerts", {"alert_id": "s-1"}, "s-1"),
        ("ring_alerts", {"alert_id": "g-1"}, "g-1"),
        ("telemetry", {"worker_id": "w-1", "event_id": "e-1"}, "w-1"),
        ("features", {"feature_set": "rider_shifts", "version": 1, "entity_id": "w-1"}, "rider_shifts/1/w-1"),
        (
            "reserves",
            {"product": "gic", "day": "2024-06-28", "cell": "853da11bfffffff"},
            "gic/2024-06-28/853da11bfffffff",
        ),
    ],
)
def test_keys_of_fields(stream, record, key):
    assert key_of(stream, record) == key


def test_a_record_without_its_key_and_a_stream_without_a_rule_are_refused():
    with pytest.raises(KeyError):
        key_of("claims", {"revision": 0})
    with pytest.raises(KeyError):
        key_of("weather", {})
    for stream in ("oracle_readings", "control"):
        with pytest.raises(ValueError, match=stream):
            key_of(stream, {})


LETTERS = st.fixed_dictionaries(
    {
        "stream": st.sampled_from(["telemetry", "reserves"]),
        "reason": st.text(),
        "raw": st.text(),
        "seen_at": st.integers(0),
    }
)


@given(LETTERS, LETTERS)
def test_the_key_of_a_dead_letter_is_that_of_its_content(one, other):
    key = key_of("dead_letters", one)
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")
    assert key == key_of("dead_letters", dict(reversed(one.items())))
    assert (key == key_of("dead_letters", other)) == (one == other)


def test_the_key_of_a_dead_letter_is_the_same_in_every_release():
    letter = {"stream": "telemetry", "reason": "not_json", "detail": "x", "raw": "é", "seen_at": 0}
    assert key_of("dead_letters", letter) == "203f77f6112a86fedb730668057b49b3"


CELL_9 = h3.latlng_to_cell(19.07, 72.87, 9)


@pytest.mark.parametrize(
    ("area", "key"),
    [
        ({"lat": 19.07, "lon": 72.87, "radius_km": 3.0}, h3.latlng_to_cell(19.07, 72.87, 5)),
        ({"h3": CELL_9}, h3.latlng_to_cell(*h3.cell_to_latlng(CELL_9), 5)),
        ({"h3": h3.cell_to_parent(CELL_9, 4)}, h3.cell_to_center_child(h3.cell_to_parent(CELL_9, 4), 5)),
        ({"wkt": "POLYGON((72 19, 73 19, 73 20, 72 20, 72 19))"}, h3.latlng_to_cell(19.5, 72.5, 5)),
    ],
    ids=["disc", "fine cell", "coarse cell", "polygon"],
)
def test_a_reading_is_keyed_by_the_cell_at_the_center_of_its_area(area, key):
    none = {"lat": None, "lon": None, "radius_km": None, "h3": None, "wkt": None}
    reading = with_changes("oracle_readings", none | area)
    assert reading_key(reading) == key
    assert line_key("oracle_readings", line_of(reading)) == key


@pytest.mark.parametrize("stream", [topic.stream for topic in INPUT_TOPICS])
def test_a_good_line_has_a_key(stream):
    record = GOOD[stream]
    expected = reading_key(record) if stream == "oracle_readings" else key_of(stream, record)
    assert line_key(stream, line_of(record)) == expected


@pytest.mark.parametrize("stream", [topic.stream for topic in INPUT_TOPICS])
@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"null", b"\xff", b"{}", b'{"worker_id": 1}', b"[" * 10_000])
def test_a_line_that_lacks_its_key_has_none(stream, line):
    assert line_key(stream, line) is None


@given(
    st.sampled_from([topic.stream for topic in INPUT_TOPICS]).flatmap(lambda s: st.tuples(st.just(s), hostile_lines(s)))
)
def test_no_line_is_fatal(stream_and_line):
    key = line_key(*stream_and_line)
    assert key is None or isinstance(key, str)


def test_only_input_streams_have_lines():
    for stream in ("claims", "control", "weather"):
        with pytest.raises(KeyError):
            line_key(stream, b"{}")
