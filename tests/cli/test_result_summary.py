"""When a replay is over, three lines say what happened, what was refused, and where to look."""

import json
from pathlib import Path

import pytest
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main
from monsoon.cli.result_summary import describe

NOTHING = {"read": 0, "used": 0, "duplicate": 0, "dead": 0, "nulled": {}, "reasons": {}, "ignored": []}
NO_CLAIMS = {"disruptions": {}, "claims": {}, "payouts": 0, "payout_paise": 0, "queued_claims": 0, "queued_paise": 0}


def summary(streams, products, skipped=()):
    return {
        "streams": {name: NOTHING | counts for name, counts in streams.items()},
        "products": {name: NO_CLAIMS | result for name, result in products.items()},
        "reference_rows_skipped": dict(skipped),
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("streams", "products", "skipped", "lines"),
    [
        (
            {"telemetry": {}},
            {"gic": {}},
            {},
            [
                "decided: no lines read; no disruptions, no claims, no payouts, Rs 0.00",
                "refused: no lines; no repeats passed over",
                "look into out: claims/ has every decision with its reasons, summary.json counts all of it",
            ],
        ),
        (
            {
                "telemetry": {
                    "read": 1_000_000, "duplicate": 1, "dead": 1_007, "nulled": {"speed_mps": 2, "accel_var": 1},
                    "reasons": {"not_json": 1_000, "out_of_range:lat": 4, "a": 1, "b": 1, "c": 1},
                },
                "subscriptions": {"read": 9, "dead": 3, "reasons": {"out_of_range:lat": 3}},
            },
            {
                "gic": {"disruptions": {"ended": 1}, "claims": {"approved": 1}, "payouts": 1, "payout_paise": 40_050},
                "kawaach": {
                    "disruptions": {"ended": 1, "withdrawn": 2}, "claims": {"approved": 2, "manual_review": 5},
                    "payouts": 2, "payout_paise": 100_000, "queued_claims": 1, "queued_paise": 5_000_00,
                },
                "nexora": {},
            },
            {"cell_towers.csv": 2},
            [
                "decided: 1,000,009 lines read; 4 disruptions, 8 claims (5 manual review, 3 approved), 3 payouts, "
                "Rs 1,400.50; 1 claim waits for a reserve, Rs 5,000.00; claims by product: 7 kawaach, 1 gic",
                "refused: 1,010 lines (1,000 not_json, 7 out_of_range:lat, 1 a, 1 b, 1 for other reasons), "
                "3 values of lines that were used (2 speed_mps, 1 accel_var), 2 reference rows (2 cell_towers.csv); "
                "1 repeat passed over",
                "look into out: dead_letters/ has the refused lines with their reasons, claims/ has every decision "
                "with its reasons, summary.json counts all of it",
            ],
        ),
    ],
)  # fmt: skip
def test_three_lines(streams, products, skipped, lines):
    assert describe(summary(streams, products, skipped), Path("out")).split("\n") == lines


def test_a_name_with_a_line_feed_is_still_one_of_three_lines():
    assert describe(summary({}, {}), Path("two\nlines")).count("\n") == 2


def test_replay_tells_them_and_they_agree_with_the_output(tmp_path, capsys):
    storm = small_storm()
    write_streams(tmp_path / "in", storm)
    (tmp_path / "in" / "telemetry" / "zz.jsonl").write_text('{"a": 1}\nno json\n\n')
    (tmp_path / "in" / "telemetry" / "notes.txt").write_text("mine")
    assert main(["replay", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    words = capsys.readouterr()
    decided, refused, look = words.out.splitlines()
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    letters = (tmp_path / "out" / "dead_letters" / "part-00000.jsonl").read_text().splitlines()
    assert f"decided: {sum(each['read'] for each in found['streams'].values()):,} lines read; " in decided
    assert f"{sum(each['payouts'] for each in found['products'].values()):,} payout" in decided
    assert refused.startswith(f"refused: {len(letters)} lines (1 ")
    assert all(json.loads(letter)["reason"] in refused for letter in letters)
    assert str(tmp_path / "out") in look
    assert words.err.splitlines() == [
        "monsoon replay: warning: passed over, being no *.jsonl, *.ndjson or *.json, each also with .gz, or "
        "*.parquet: telemetry/notes.txt"
    ]


def test_both_engines_and_a_run_say_it_in_the_same_words(tmp_path, capsys, monkeypatch):
    found = summary(
        {"telemetry": {"read": 2, "dead": 1, "reasons": {"not_json": 1}, "ignored": ["x.txt"]}}, {"gic": {}}
    )
    for name in ("local.replay.replay", "flink.replay.replay", "flink.run.run"):
        monkeypatch.setattr(f"monsoon.pipelines.{name}", lambda *unused, **named: found)
    places = ["--input", str(tmp_path), "--output", str(tmp_path / "out")]
    said = []
    for words in (["replay"], ["replay", "--engine", "flink"], ["run"]):
        assert main([*words, *places]) == 0
        words = capsys.readouterr()
        said.append((words.out, words.err.replace("monsoon run: ", "monsoon replay: ")))
    assert said[0] == said[1] == said[2]
    assert len(said[0][0].splitlines()) == 3
    assert said[0][1].count("\n") == 1
