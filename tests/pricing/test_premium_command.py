"""`monsoon premium` as it is typed: quotes, one explained, riders of policies, errors in a line."""

import json

import pytest
from kit import at
from kit.streams import policy_record, write_streams

from monsoon.cli.main import main

RIDERS = "worker_id,daily_wage,zone_multiplier,weeks_covered\nraju,450,1.3,0\nkiran,480,0.9,30\nlost,480,9,30\n"


@pytest.fixture
def riders(tmp_path):
    path = tmp_path / "riders.csv"
    path.write_text(RIDERS, encoding="utf-8")
    return path


def said(capsys, *words):
    code = main(["premium", *map(str, words)])
    told = capsys.readouterr()
    return code, told.out.splitlines(), told.err


def line_of(lines, name):
    (found,) = [line.split()[1] for line in lines if line.split()[0] == name]
    return found


def test_quotes_are_shown_and_written(capsys, tmp_path, riders):
    words = ("--product", "kawaach", "--riders", riders, "--output", tmp_path / "out")
    code, lines, _ = said(capsys, *words)
    assert code == 0
    assert lines[0].split()[:5] == ["worker", "id", "plan", "premium", "inr"]
    assert [line.split()[:3] for line in lines[1:3]] == [["kiran", "standard", "49.00"], ["raju", "standard", "82.00"]]
    assert lines[3] == "2 quotes, Rs 131.00 together"
    assert lines[4] == "1 without a quote, the first lost: zone_multiplier 9 is not from 0.8 to 1.4"
    written = (tmp_path / "out" / "quotes.jsonl").read_bytes()
    quotes = [json.loads(line) for line in written.splitlines()]
    assert [(each["worker_id"], each["premium_paise"]) for each in quotes] == [("kiran", 4900), ("raju", 8200)]
    assert all(sum(line["amount_paise"] for line in each["lines"]) == each["premium_paise"] for each in quotes)
    head, *rows = RIDERS.splitlines()
    riders.write_text("\n".join([head, *reversed(rows), ""]), encoding="utf-8")
    assert said(capsys, *words)[0] == 0
    assert (tmp_path / "out" / "quotes.jsonl").read_bytes() == written


def test_quotes_in_another_format_replace_the_earlier_ones(capsys, tmp_path, riders):
    words = ("--product", "kawaach", "--riders", riders, "--output", tmp_path / "quotes", "--format")
    for kind in ("jsonl", "parquet", "jsonl"):
        assert said(capsys, *words, kind)[0] == 0
        assert sorted(path.name for path in (tmp_path / "quotes").iterdir()) == [f"quotes.{kind}", "refused.jsonl"]


def test_one_quote_explained_line_by_line(capsys, riders):
    _, lines, _ = said(capsys, "--product", "kawaach", "--riders", riders, "--explain", "kiran")
    assert lines[0].startswith("kiran, kawaach standard, version ")
    assert lines[1] == "saferider_tier is 4"
    amounts = {line.split()[0]: float(line.split()[1]) for line in lines[2:]}
    premium = amounts.pop("premium")
    assert premium == sum(amounts.values()) == 49
    assert any(line.endswith("  -0.06 * (saferider_tier - 1) * (base + zone)") for line in lines)


def test_a_rider_without_a_quote_is_explained_and_an_unknown_one_is_an_error(capsys, riders):
    words = ("--product", "kawaach", "--riders", riders, "--explain")
    assert said(capsys, *words, "lost")[1] == ["lost: no quote: zone_multiplier 9 is not from 0.8 to 1.4"]
    code, _, error = said(capsys, *words, "kirann")
    assert code == 1
    assert "no rider 'kirann'; did you mean" in error
    assert error.count("\n") == 1


def test_riders_of_policies_have_their_histories(capsys, tmp_path):
    minutes = -40 * 7 * 24 * 60
    events = [policy_record(f"w{number}", f"p{number}", minutes, squad_id="s1") for number in range(5)]
    claim = {"claim_id": "c1", "revision": 0, "status": "approved", "decided_at": at(-60), "worker_id": "w0"}
    claim |= {"product": "kawaach", "policy_id": "p0", "disruption_id": "d", "zone": "8960145b483ffff", "features": {}}
    claim |= {"reasons": [], "product_version": "1", "model_version": "1"}
    write_streams(tmp_path / "in", {"subscriptions": events})
    write_streams(tmp_path / "results", {"claims": []})
    (tmp_path / "results" / "summary.json").write_text("{}")
    (tmp_path / "zones.csv").write_text("worker_id,zone_multiplier\n" + "".join(f"w{n},1.0\n" for n in range(5)))
    words = ["--product", "kawaach", "--riders", tmp_path / "zones.csv", "--input", tmp_path / "in"]
    words += ["--at", "2024-06-29T00:00:00+05:30", "--results", tmp_path / "results", "--explain", "w1"]
    code, lines, error = said(capsys, *words)
    assert (code, error) == (0, "")
    assert "saferider_tier is 4" in lines
    assert line_of(lines, "dost_shield") == "-7.00"
    write_streams(tmp_path / "results", {"claims": [claim]})
    assert line_of(said(capsys, *words)[1], "dost_shield") == "0.00"


def test_inputs_are_listed(capsys):
    code, lines, _ = said(capsys, "--product", "jugaad", "--describe")
    assert code == 0
    assert "shift: shift that the rider mostly works (day, mixed, evening; needed)" in lines


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--product", "kawach", "--describe"], "no product 'kawach'; did you mean"),
        (["--product", "jugaad", "--riders", "RIDERS", "--plan", "stadard"], "no plan 'stadard'; did you mean"),
        (
            ["--product", "cyclone", "--describe", "--product-file", "CYCLONE"],
            "cyclone has no premium; docs/pricing.md",
        ),
        (["--product", "gic", "--riders", "RIDERS"], 'no input "daily_wage"'),
    ],
)
def test_errors_are_told_in_a_line(capsys, root, riders, words, problem):
    places = {"RIDERS": riders, "CYCLONE": root / "tests" / "products" / "cyclone.yaml"}
    code, _, error = said(capsys, *(places.get(word, word) for word in words))
    assert code == 1
    assert problem in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [[], ["--input", "x"], ["--riders", "x", "--at", "2024-06-29T00:00:00+05:30"], ["--riders", "x", "--results", "y"]],
)
def test_options_that_do_not_go_together_are_usage_errors(capsys, words):
    with pytest.raises(SystemExit) as stop:
        main(["premium", "--product", "kawaach", *words])
    assert stop.value.code == 2
