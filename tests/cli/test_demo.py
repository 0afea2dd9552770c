"""The demo pays at Safdarjung, nobody at a station that stayed under 75 mm, and nobody on the gridded product alone."""

import json
import re

import pytest

from monsoon.cli.demo_report import _GROUPS
from monsoon.cli.main import main
from monsoon.sources.simulator.population import KINDS


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """(what it said, its output folder)."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        said = []
        patch.setattr("builtins.print", lambda *words: said.append(" ".join(map(str, words))))
        assert main(["demo", "--riders", "200", "--folder", str(folder)]) == 0
    return "\n".join(said), folder / "output"


def row(text, station):
    return next(line for line in text.splitlines() if re.match(rf" +{station} .* mm ", line)).split()


def test_riders_at_safdarjung_are_paid(demo):
    assert int(row(demo[0], "Safdarjung")[-1].replace(",", "")) > 0


def test_nobody_is_where_it_stayed_under_75_mm(demo):
    assert row(demo[0], "Ayanagar")[1:] == ["66.3", "mm", "0", "0", "0", "0", "0", "0"]


def test_on_the_gridded_product_alone_nobody_is_paid(demo):
    assert "With the gridded product alone (14.3 mm for the day): 0 disruptions, 0 payouts." in demo[0]


def test_the_story_tells_what_the_output_holds(demo):
    text, output = demo
    payouts = [json.loads(line) for line in (output / "payouts/part-00000.jsonl").read_text().splitlines()]
    rupees = sum(payout["amount_paise"] for payout in payouts) / 100
    assert f"{len(payouts):,} payouts, Rs {rupees:,.2f}" in text
    summary = json.loads((output / "summary.json").read_text())
    assert summary["products"]["kawaach"]["payouts"] == len(payouts)


def test_it_ends_with_the_page_that_report_writes_of_the_same_folders(demo):
    said, output = demo
    page = output / "report.html"
    assert str(page) in said
    content = page.read_bytes()
    assert main(["report", "--output", str(output), "--input", str(output.parent / "input")]) == 0
    assert page.read_bytes() == content


def test_every_claim_is_in_a_row_of_its_kind_of_rider(demo):
    assert {kind for kind, _ in _GROUPS} == {*KINDS, "syndicate"}
    text, output = demo
    claims = {json.loads(line)["claim_id"] for line in (output / "claims/part-00000.jsonl").read_text().splitlines()}
    rows = text.partition("Claims, how each was first decided")[2].splitlines()[2:]
    counts = [int(re.search(r"  +([\d,]+)  ", line)[1].replace(",", "")) for line in rows if "%)" in line]
    assert sum(counts) == len(claims)


@pytest.mark.slow
def test_a_product_plays_its_own_storms(tmp_path, capsys):
    words = ["demo", "--product", "kawaach", "--storm", "chennai-2016-12-12-vardah", "--riders", "60"]
    assert main([*words, "--folder", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Chennai, 12 December 2016, cyclone Vardah\n")
    assert re.search(r"^    wind +\d+ +12 Dec 12:45 +12 Dec 13:15 +imd, skymet$", text, re.M)
    folder = tmp_path / "kawaach" / "chennai-2016-12-12-vardah"
    payouts = [json.loads(line) for line in (folder / "output/payouts/part-00000.jsonl").read_text().splitlines()]
    rupees = sum(payout["amount_paise"] for payout in payouts) / 100
    assert f"  {len(payouts):,} payouts, Rs {rupees:,.2f}" in text


@pytest.mark.slow
def test_with_and_without_product_the_same_story_is_told(demo, tmp_path, capsys):
    words = ["demo", "--product", "kawaach", "--storm", "delhi-2024-06-28", "--riders", "200"]
    assert main([*words, "--folder", str(tmp_path)]) == 0
    figures = capsys.readouterr().out.partition("\n\nInputs and outputs:")[0]
    assert "What the official stations reported: mm of rain in 24 h (from * 75, ** 100 a level of rain)" in figures
    assert demo[0].startswith(figures)


def test_a_storm_in_which_nobody_holds_the_product_is_told_in_peace(tmp_path, capsys):
    words = ["demo", "--product", "kawaach", "--storm", "delhi-2024-01-31-fog", "--riders", "5"]
    assert main([*words, "--folder", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "  What kawaach made of it\n    nothing\n" in text
    assert "  0 payouts, Rs 0.00\n" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--product", "umbrella"], "there are: "),
        (["--storm", "delhi-2024-06-28"], "--product"),
        (["--product", "kawaach", "--storm", "atlantis"], "no such storm"),
    ],
)
def test_what_cannot_be_played_is_told_in_a_line(tmp_path, capsys, words, says):
    assert main(["demo", *words, "--folder", str(tmp_path)]) == 1
    assert says in capsys.readouterr().err
