"""Who may speak: the operator's register of providers against what readings say of themselves, on both engines."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import reading_record
from kit.graph import PRODUCTS, Scripted, same
from kit.streams import policy_record, report, write_streams

from monsoon.pipelines.local.replay import replay
from monsoon.sources.files import InputError
from monsoon.sources.model_files import load_scorer
from monsoon.sources.provider_register import read_provider_register
from monsoon.sources.reference import read_references
from monsoon.transforms.provider_register import QUALITIES, ProviderRegister, as_registered


def register(folder, *rows, name="providers.csv", header="provider,metric,quality"):
    (folder / "reference").mkdir(parents=True, exist_ok=True)
    text = "".join(f"{row}\n" for row in (header, *rows) if row is not None)
    content = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    (folder / "reference" / name).write_bytes(content)
    return folder


def quality(folder, provider, metric, stated="official"):
    found, _ = read_provider_register(folder / "reference")
    record = {"provider": provider, "metric": metric, "quality": stated}
    return as_registered(record, found)["quality"]


def test_the_lesser_of_what_is_stated_and_what_is_listed(tmp_path):
    register(tmp_path, "imd,*,official", "imd,aqi,secondary", "sky,aqi,official", "sky,aqi,fallback", "om,*,secondary")
    assert quality(tmp_path, "imd", "rain_mm_24h") == "official"
    assert quality(tmp_path, "imd", "rain_mm_24h", "secondary") == "secondary"
    assert quality(tmp_path, "imd", "aqi") == "secondary", "its own row before the one for all metrics"
    assert quality(tmp_path, "sky", "aqi") == "fallback", "of several rows the lesser"
    assert quality(tmp_path, "sky", "rain_mm_24h") == "fallback", "not listed for the metric"
    assert quality(tmp_path, "om", "aqi") == "secondary"
    assert quality(tmp_path, "om", "aqi", "fallback") == "fallback"
    assert quality(tmp_path, "nobody", "aqi") == "fallback"


def test_a_row_for_the_metric_may_be_better_than_the_one_for_all(tmp_path):
    register(tmp_path, "imd,*,fallback", "imd,rain_mm_24h,official")
    assert quality(tmp_path, "imd", "rain_mm_24h") == "official"
    assert quality(tmp_path, "imd", "aqi") == "fallback"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["aqi", "*"]), st.sampled_from(QUALITIES))), st.data())
def test_the_order_of_rows_is_nothing(rows, data):
    provider, metric = data.draw(st.sampled_from("abc")), data.draw(st.sampled_from(["aqi", "curfew"]))
    found = ProviderRegister(rows).listed(provider, metric)
    assert found == ProviderRegister(data.draw(st.permutations(rows))).listed(provider, metric)
    own, for_all = ([q for p, m, q in rows if (p, m) == (provider, wanted)] for wanted in (metric, "*"))
    assert found == max(own or for_all or ["fallback"], key=QUALITIES.index)


def test_without_the_register_what_is_stated_counts(tmp_path):
    assert read_provider_register(tmp_path / "reference") == (None, ())
    assert quality(tmp_path, "nobody", "aqi", "secondary") == "secondary"


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("providers.csv", "provider,metric,quality", "imd,*,secondary"),
        ("providers.csv.gz", "provider,metric,quality", "imd,*,secondary"),
        ("providers.csv", "\ufeffQuality;note;Provider;metric", "secondary;ours;imd;*"),
        ("providers.csv", None, "imd,*,secondary"),
        ("providers.csv", "provider,metric,quality", " imd , * , secondary \r"),
    ],
)
def test_forms_in_which_it_comes(tmp_path, name, header, row):
    register(tmp_path, row, name=name, header=header)
    assert quality(tmp_path, "imd", "aqi") == "secondary"
    assert quality(tmp_path, "other", "aqi") == "fallback"


def test_rows_that_are_not_as_they_should_be_are_told_and_release_nothing(tmp_path):
    register(
        tmp_path,
        "imd,*,official",
        "imd,aqi,offical",
        "IMD,*,official",
        "sky,rain,official",
        ",*,official",
        "om",
        "b,aqi,",
    )
    found = read_references(tmp_path / "reference")
    assert found.faults["providers.csv"].rows == 6
    assert found.faults["providers.csv"].first[0].startswith("line 3: none of official, secondary, fallback")
    assert found.account.warnings == [
        "reference/providers.csv: 6 rows not used as written: line 3: none of official, secondary, fallback, taken as "
        "fallback (offical); line 4: no provider (IMD); line 5: no metric of the contract, nor * (rain); ..."
    ]
    assert quality(tmp_path, "imd", "aqi") == "fallback", "what was meant is not known: the least"
    assert quality(tmp_path, "imd", "rain_mm_24h") == "official"
    assert quality(tmp_path, "sky", "rain_mm_24h") == "fallback"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"provider,quality\nimd,official\n", "no column metric"),
        (b"provider,metric,quality,quality\n", "column quality is there twice"),
        (b"\x00\x01\x02", "no column"),
    ],
)
def test_a_broken_register_stops_the_replay_in_words(tmp_path, content, said):
    source = write_streams(tmp_path / "in", storm())
    register(source)
    (source / "reference" / "providers.csv").write_bytes(content)
    with pytest.raises(InputError) as refused:
        replay(source, tmp_path / "out", PRODUCTS, ["kawaach"], load_scorer())
    assert said in refused.value.what
    assert refused.value.where.endswith("providers.csv")
    assert refused.value.mend


def storm(**fields):
    """A curfew that one provider tells of."""
    named = {"provider": "police"} | fields
    readings = [
        reading_record("curfew", value, minutes, reading_id=f"c{minutes}", **named)
        for value, minutes in ((1, 0), (0, 30))
    ]
    records = {
        "telemetry": [report("w0", minutes) for minutes in range(-30, 0)],
        "oracle_readings": readings,
        "subscriptions": [policy_record("w0", "p0")],
    }
    return {
        stream: [{name: value for name, value in each.items() if value is not None} for each in some]
        for stream, some in records.items()
    }


@pytest.mark.parametrize(
    ("rows", "paid"),
    [
        (None, 1),
        (["police,*,official"], 1),
        (["police,curfew,fallback", "police,*,official"], 0),
        (["gov,*,official"], 0),
        ([], 0),
    ],
)
def test_both_engines_ask_the_register(tmp_path, rows, paid):
    records = storm()
    if rows is not None:
        register(tmp_path / "in", *rows)
    source = Scripted(tmp_path / "in")
    for stream, some in records.items():
        source.say(stream, some)
    collected = source.finish()
    assert len(collected.outcome.payouts) == paid
    inputs, expected = source.locally()
    same(collected.outcome, expected)
    assert inputs.providers == ("unregistered" if rows is None else "registered")


def test_the_register_changes_nothing_of_what_a_repeat_is(tmp_path):
    """Identity is of what readings state."""
    register(tmp_path / "in", "police,*,secondary")
    source = Scripted(tmp_path / "in")
    readings = storm()["oracle_readings"]
    other = readings[0] | {"quality": "secondary"}
    source.play([(None, storm()), (1, {"oracle_readings": [readings[0], other]})])
    counts = source.finish().counts["oracle_readings"]
    assert (counts["used"], counts["duplicate"], counts["reasons"]) == (2, 1, {"conflicting_duplicate": 1})


def test_the_summary_says_whether_providers_are_registered(tmp_path):
    source = write_streams(tmp_path / "in", storm())
    summary = replay(source, tmp_path / "out", PRODUCTS, ["kawaach"], load_scorer())
    assert summary["providers"] == "unregistered"
    register(source, "police,*,official", "police,*,nonsense")
    summary = replay(source, tmp_path / "out", PRODUCTS, ["kawaach"], load_scorer())
    assert summary["providers"] == "registered"
    assert summary["reference_rows_skipped"] == {"providers.csv": 1}
    assert summary["warnings"] == [
        "reference/providers.csv: 1 row not used as written: line 3: none of official, secondary, fallback, taken as "
        "fallback (nonsense)"
    ]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["providers"] == "registered"
