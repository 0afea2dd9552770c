"""Premiums by a model: exact sums, Shapley values by brute force, never falling where it must not, folders refused."""

from importlib.resources import files
from itertools import permutations

import msgspec
import numpy as np
import onnx
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monsoon.cli.main import main
from monsoon.models.premium_trees import fit_premium_trees
from monsoon.models.train import write_files
from monsoon.pipelines.training.premium import train
from monsoon.pipelines.training.premium_days import daily_probability, rider_days, with_zone_risks, zone_risks
from monsoon.sources.product_files import load_products
from monsoon.sources.simulator import load_storm
from monsoon.transforms.pricing.premium_model import LEAVES, NAME, TERMS, ModelTerms, PremiumModel, coalition_values
from monsoon.transforms.pricing.premium_model import shapley_values as shapley
from monsoon.transforms.scoring.folder import ModelFolder, ModelFolderError, build_manifest, read_model_folder

NAMES = ("city", "month", "zone_risk", "weekly_hours", "daily_wage")
RIDER = st.tuples(
    st.integers(0, 1), st.integers(1, 12), st.floats(0, 3, width=32), st.floats(0, 70, width=32), st.integers(350, 900)
)
TERMS_OF_MODEL = ModelTerms("kawaach", "v", {"standard": 168.0}, ("Chennai", "Delhi"), NAMES, 0.1)


def training(rows=600, seed=3):
    rng = np.random.default_rng(seed)
    columns = (
        rng.integers(0, 2, rows), rng.integers(1, 13, rows), rng.uniform(0, 3, rows), rng.uniform(0, 70, rows),
        rng.integers(350, 900, rows),
    )  # fmt: skip
    table = np.column_stack(columns).astype(np.float32)
    # Falling in the hours and noisy: what the fit must not follow where it has to rise.
    paise = (table[:, 1] > 6) * table[:, 2] * (100 - table[:, 3]) * 40 + rng.normal(0, 900, rows)
    return table, paise, rng.uniform(0.01, 1.0, rows)


@pytest.fixture(scope="module")
def fitted():
    table, paise, weights = training()
    return fit_premium_trees(NAMES, table, paise, weights, trees=3, min_rows_per_leaf=20)


@pytest.fixture(scope="module")
def model(fitted, tmp_path_factory):
    return PremiumModel(folder_of(fitted, tmp_path_factory.mktemp("model")))


def folder_of(fitted, path, terms=TERMS_OF_MODEL, **other):
    contents = {f"{NAME}.onnx": fitted.graph, LEAVES: fitted.leaf_bytes(), TERMS: msgspec.json.encode(terms)} | other
    return ModelFolder(path, NAME, build_manifest(NAME, contents).version, contents)


def nodes_of(graph):
    """The trees of a graph: by (tree, node) what onnx says of a node, and the value of a leaf."""
    attributes = onnx.load_from_string(graph).graph.node[0].attribute
    given = {each.name: onnx.helper.get_attribute_value(each) for each in attributes}
    columns = ("treeids", "nodeids", "modes", "featureids", "values", "truenodeids", "falsenodeids")
    nodes = zip(*(given[f"nodes_{column}"] for column in columns), strict=True)
    values = zip(given["target_treeids"], given["target_nodeids"], given["target_weights"], strict=True)
    return {(tree, node): rest for tree, node, *rest in nodes}, {(tree, node): value for tree, node, value in values}


def expected(nodes, values, tree, node, row, known, rows, weights):
    """What a tree is expected to say where only some inputs are known: the definition of path-dependent TreeSHAP."""
    mode, feature, threshold, yes, no = nodes[tree, node]
    if mode == b"LEAF":
        return values[tree, node]
    left = rows[:, feature] <= np.float32(threshold)
    sides = [(yes, left), (no, ~left)]
    if feature in known:
        sides = sides[:1] if row[feature] <= np.float32(threshold) else sides[1:]
    total = sum(weights[side].sum() for _, side in sides)
    return sum(
        weights[side].sum() / total * expected(nodes, values, tree, child, row, known, rows[side], weights[side])
        for child, side in sides
    )


@settings(max_examples=15, deadline=None)
@given(RIDER)
def test_contributions_are_shapley_values_by_brute_force(fitted, model, rider):
    table, _, weights = training()
    nodes, values = nodes_of(fitted.graph)
    row = np.array([rider], dtype=np.float32)

    def worth(known):
        return sum(expected(nodes, values, tree, 0, row[0], known, table, weights) for tree in range(3))

    worths = {bits: worth({i for i in range(5) if bits >> i & 1}) for bits in range(32)}
    brute = np.zeros(5)
    orders = list(permutations(range(5)))
    for order in orders:
        bits = 0
        for player in order:
            brute[player] += (worths[bits | 1 << player] - worths[bits]) / len(orders)
            bits |= 1 << player
    found = model.contributions(row)[0]
    assert found[0] == pytest.approx(worths[0], abs=0.01)
    assert found[1:] == pytest.approx(brute, abs=0.01)
    assert np.float32(worths[31]) == model.payout_paise_a_day(row)[0]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=8))
def test_shapley_values_add_up_and_treat_players_alike(values):
    game = np.array([values])
    found = shapley(game)[0]
    assert found.sum() == pytest.approx(values[7] - values[0], abs=1e-6)
    swapped = game[:, [0, 2, 1, 3, 4, 6, 5, 7]]
    assert shapley(swapped)[0] == pytest.approx(found[[1, 0, 2]], abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(RIDER, min_size=1, max_size=20))
def test_lines_are_whole_paise_that_add_up(model, riders):
    terms = load_products(["kawaach"], [])["kawaach"].premium
    columns = dict(zip(NAMES, np.array(riders, dtype=np.float64).T, strict=True))
    found = model.quote(terms, ["standard"] * len(riders), columns)
    assert np.array_equal(sum(found.lines_paise.values()), found.premium_paise)
    assert all(paise.dtype == np.int64 for paise in found.lines_paise.values())
    assert (np.clip(found.premium_paise, 4900, 9900) == found.premium_paise).all()
    exact = model.payout_paise_a_day(np.array(riders, dtype=np.float32)) * 7
    payouts = sum(found.lines_paise[name] for name in ("average", *NAMES))
    assert np.array_equal(payouts, np.rint(exact))
    alone = model.quote(terms, ["standard"], {name: column[:1] for name, column in columns.items()})
    assert all(alone.lines_paise[name][0] == paise[0] for name, paise in found.lines_paise.items())


@settings(max_examples=60, deadline=None)
@given(RIDER, st.sampled_from((2, 3, 4)), st.floats(0, 500, width=32))
def test_no_cheaper_with_more_risk_hours_or_wage(model, rider, column, more):
    rows = np.array([rider, rider], dtype=np.float32)
    rows[1, column] += np.float32(more)
    low, high = model.payout_paise_a_day(rows)
    assert low <= high


def test_the_same_bytes_twice_and_leaves_are_the_graphs(fitted):
    table, paise, weights = training()
    again = fit_premium_trees(NAMES, table, paise, weights, trees=3, min_rows_per_leaf=20)
    assert (again.graph, again.leaf_bytes()) == (fitted.graph, fitted.leaf_bytes())
    paise_in_order = coalition_values(fitted.leaves, table)[:, -1]
    assert np.array_equal(paise_in_order, coalition_values(fitted.leaves[::-1], table)[:, -1])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({TERMS: b"{}"}, "terms.json"),
        ({"premium.onnx": b"x"}, "no model that onnxruntime reads"),
        ({LEAVES: b"x"}, "model folder refused"),
        ({TERMS: msgspec.json.encode(msgspec.structs.replace(TERMS_OF_MODEL, inputs=NAMES[:4]))}, "other inputs"),
        ({TERMS: msgspec.json.encode(msgspec.structs.replace(TERMS_OF_MODEL, inputs=(*NAMES, "mood")))}, "mood"),
    ],
)
def test_a_folder_that_is_no_such_model_is_refused(fitted, tmp_path, change, told):
    with pytest.raises(ModelFolderError, match=told):
        PremiumModel(folder_of(fitted, tmp_path, **change))


def test_leaves_of_another_model_are_refused(fitted, tmp_path):
    table, paise, weights = training(seed=4)
    other = fit_premium_trees(NAMES, table, paise, weights, trees=3, min_rows_per_leaf=20)
    with pytest.raises(ModelFolderError, match="not of the model in the graph"):
        PremiumModel(folder_of(fitted, tmp_path, **{LEAVES: other.leaf_bytes()})).contributions(table)


def test_days_weigh_what_storms_are_probable():
    storms = [load_storm("delhi-2024-06-28"), load_storm("delhi-2023-07-13-flood")]
    riders = pl.DataFrame(
        {
            "storm": [storm.name for storm in storms for _ in range(2)],
            "city": "Delhi",
            "zone": ["a", "b", "a", "b"],
            "plan": "standard",
            "shift_hours": [8.0, 8.0, 4.0, 0.0],
            "daily_wage": 500.0,
            "paid_paise": [30_000, 10_000, 20_000, 0],
        }
    )
    zones = zone_risks(riders, storms)
    assert zones["zone"].to_list() == ["a"] * 12 + ["b"] * 12
    risks = dict(zip(zones.select("zone", "month").rows(), zones["zone_risk"].to_list(), strict=True))
    assert risks["a", 7] > risks["b", 7] > 0 == risks["a", 1] == risks["b", 1]
    terms = msgspec.structs.replace(TERMS_OF_MODEL, cities=("Delhi",))
    days = rider_days(with_zone_risks(riders, zones), storms, terms)
    assert days.weight.sum() == pytest.approx(2 * 12)  # two riders, a day of each month
    june = days.rows[:, 1] == 6
    rain = 0.4 / (30 + 31 + 31 + 30)
    assert daily_probability(storms[0])[5] == pytest.approx(rain)
    flood = daily_probability(storms[1])[5]
    assert np.average(days.paise[june], weights=days.weight[june]) == pytest.approx(20_000 * rain + 10_000 * flood)


def test_trained_on_replays_and_quoted_by_the_command(tmp_path, capsys):
    product = load_products(["kawaach"], [])["kawaach"]
    folder, storms = tmp_path / "model", [load_storm("delhi-2024-06-28")]
    version, evaluation = train(folder, product, 1, lambda *_: None, storms, riders=50, replicates=(2, 1))
    assert "product file" in evaluation
    riders = tmp_path / "riders.csv"
    riders.write_text(
        "worker_id,city,month,zone_risk,weekly_hours,daily_wage\na,Delhi,6,1.2,50,700\nb,Delhi,6,,50,700\n"
    )
    words = ["premium", "--product", "kawaach", "--model", str(folder), "--riders", str(riders)]
    assert main([*words, "--output", str(tmp_path / "out")]) == 0
    (quoted,) = [msgspec.json.decode(line) for line in (tmp_path / "out" / "quotes.jsonl").read_bytes().splitlines()]
    assert quoted["model_version"] == version
    assert sum(line["amount_paise"] for line in quoted["lines"]) == quoted["premium_paise"]
    assert "b: zone_risk is missing" in capsys.readouterr().out
    assert main([*words, "--explain", "a"]) == 0
    assert "what it changes to know the zone risk" in capsys.readouterr().out
    words[2] = "gic"
    assert main(words) == 1
    assert "is a model of kawaach, not of gic" in capsys.readouterr().err
    (folder / LEAVES).unlink()
    assert main(["premium", "--product", "kawaach", "--model", str(folder), "--describe"]) == 1
    assert LEAVES in capsys.readouterr().err


def test_a_folder_of_another_version_or_of_another_model_is_refused(fitted, tmp_path, capsys):
    write_files(tmp_path, dict(folder_of(fitted, tmp_path).contents), NAME)
    assert read_model_folder(tmp_path).name == NAME
    words = ["premium", "--product", "kawaach", "--describe", "--model"]
    assert main([*words, str(tmp_path)]) == 1
    assert "is of version v of kawaach" in capsys.readouterr().err
    assert main([*words, str(files("monsoon.models") / "onnx" / "outage")]) == 1
    assert "holds the model outage, not one of premiums" in capsys.readouterr().err
