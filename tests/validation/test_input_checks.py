"""What stops a job, and what only warns: the same in whatever order and pieces a stream is read, on both engines."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.graph import Graph, locally, settings_of
from kit.refusals import many_refused
from kit.streams import small_storm, write_lines, write_streams

from monsoon.cli.main import main
from monsoon.pipelines.flink.dead_letter_limit import DeadLetterLimit
from monsoon.pipelines.local.replay import read_inputs
from monsoon.pipelines.results import summarized
from monsoon.pipelines.runtime.messages import STATISTICS, pack, result
from monsoon.sources.files import FilePart, InputError
from monsoon.sources.product_files import load_products
from monsoon.transforms.geo.squares import any_squares_within, grid_squares
from monsoon.transforms.validation.details import ONE_ARRAY
from monsoon.transforms.validation.input_checks import InputStatistics, RefusalLimit, RefusalWindows, warnings
from monsoon.transforms.validation.record_validator import DeadLetter

LIMIT = RefusalLimit()
DELHI, MUMBAI = (28.58, 77.2), (19.07, 72.88)  # 1,150 km apart


def dead(reason, detail="x"):
    return DeadLetter(reason, detail, "", 0, b"")


def statistics(read, refused, reason="not_json"):
    return InputStatistics.of(read, [dead(reason)] * refused, [])


@pytest.mark.parametrize(
    ("read", "refused", "stops"),
    [
        (10_000, 2_000, False),
        (10_000, 2_001, True),
        (9_999, 9_999, False),
        (50_000, 10_001, True),
    ],
)
def test_a_fifth_of_ten_thousand_may_be_refused(read, refused, stops):
    assert (LIMIT.fault(statistics(read, refused)) is not None) == stops


def test_a_limit_of_all_stops_nothing():
    assert RefusalLimit(1.0).fault(statistics(10_000, 10_000)) is None
    assert RefusalLimit(0.0, 1).fault(statistics(1, 0)) is None
    assert RefusalLimit(0.0, 1).fault(statistics(1, 1)) is not None


def test_the_commonest_reasons_are_told_with_a_detail():
    seen = InputStatistics.of(20_000, [dead("b", "z"), *[dead("a", "y")] * 5_000, *[dead("b", "w")] * 3_000], [])
    assert LIMIT.fault(seen) == (
        "8,001 of 20,000 records are refused, 40.0% where 20% may be: 5,000 a (y); 3,001 b (w)"
    )


PIECES = st.lists(
    st.tuples(st.integers(1, 9_000), st.integers(0, 9_000), st.sampled_from("ab"), st.sampled_from(["x", ONE_ARRAY])),
    max_size=6,
)


@given(PIECES, st.randoms(use_true_random=False))
def test_pieces_add_up_in_any_order(pieces, chance):
    def whole(some):
        total = InputStatistics()
        for read, refused, reason, detail in some:
            total.add(InputStatistics.of(read, [dead(reason, detail)] * min(read, refused), [read]))
        return total

    shuffled = list(pieces)
    chance.shuffle(shuffled)
    assert whole(pieces) == whole(shuffled)
    assert LIMIT.fault(whole(pieces)) == LIMIT.fault(whole(shuffled))


def test_a_stream_without_end_is_judged_window_by_window():
    windows = RefusalWindows(LIMIT)
    for _ in range(100):
        assert windows.fault("telemetry", statistics(8_000, 0)) is None
    assert windows.fault("subscriptions", statistics(2_000, 2_000)) is None
    found = [windows.fault("telemetry", statistics(4_000, 4_000)) for _ in range(3)]
    assert found[:2] == [None, None]
    assert found[2].startswith("12,000 of 12,000 records are refused")


# Places.


def test_squares_of_places():
    assert len(grid_squares([28.50, 28.59, 28.61], [77.20, 77.29, 77.2])) == 2
    assert grid_squares([], []) == []
    assert grid_squares([-90, 90], [-180, 180]) == sorted(grid_squares([90, -90], [180, -180]))


@pytest.mark.parametrize(("lat", "near"), [(28.58, True), (28.58 + 4.3, True), (28.58 + 4.7, False), (-28.58, False)])
def test_five_hundred_km(lat, near):
    assert (
        any_squares_within(grid_squares([lat], [77.2]), grid_squares([DELHI[0], -33.0], [DELHI[1], 151.0]), 500.0)
        == near
    )


def test_many_squares_far_from_many_homes():
    lats, lons = [lat / 10 for lat in range(-600, -100)], [lon / 10 for lon in range(500)]
    homes = grid_squares([DELHI[0]] * 300, [70 + n / 10 for n in range(300)])
    assert not any_squares_within(grid_squares(lats, lons), homes, 500.0)


def seen_at(place):
    return InputStatistics(1, squares=set(grid_squares([place[0]], [place[1]])))


@pytest.mark.parametrize("stream", ["telemetry", "oracle_readings"])
def test_a_stream_of_elsewhere_is_told(stream):
    swapped = warnings({stream: seen_at(DELHI[::-1]), "subscriptions": seen_at(DELHI)})
    assert swapped == [
        f"{stream}: nothing in it lies within 500 km of any policy's home; are latitude and longitude swapped?"
    ]
    assert warnings({stream: seen_at(DELHI), "subscriptions": seen_at(DELHI)}) == []
    assert warnings({stream: InputStatistics(5), "subscriptions": seen_at(DELHI)}) == []
    assert warnings({stream: seen_at(MUMBAI), "subscriptions": InputStatistics()}) == []
    both = seen_at(MUMBAI)
    both.add(seen_at(DELHI))
    assert warnings({stream: both, "subscriptions": seen_at(DELHI)}) == []


# Both engines.


def odd_storm(folder):
    """Readings of elsewhere, an array among reports, lines that are refused."""
    records = small_storm()
    for number, reading in enumerate(records["oracle_readings"]):
        if number % 3 == 0:
            del reading["lat"], reading["lon"]
            reading.pop("radius_km", None)
            reading["h3"] = "8760b56e1ffffff"  # Mumbai
        else:
            reading |= {"lat": MUMBAI[0], "lon": MUMBAI[1]}
    source = write_streams(folder, {**records, "telemetry": []})
    lines = [json.dumps(record) for record in records["telemetry"][:50]]
    write_lines(source, "telemetry", [f"[{lines[0]}]", *lines, "broken", *lines[:9]])
    return source


def test_both_engines_say_the_same_of_the_whole(tmp_path):
    source = odd_storm(tmp_path / "in")
    inputs, outcome = locally(source)
    graph = Graph(settings_of(source), durable=False)
    graph.read_folder(source)
    collected = graph.finish()
    assert collected.statistics == inputs.statistics
    told = summarized(inputs, outcome, {}, {})["warnings"]
    assert told == summarized(collected, collected.outcome, {}, {})["warnings"]
    assert [warning.partition(":")[0] for warning in told] == ["oracle_readings", "telemetry"]
    assert ONE_ARRAY in told[1]


def test_a_replay_of_what_is_mostly_refused_stops(tmp_path, capsys):
    source = many_refused(tmp_path / "in", 7_990, 2_010)
    words = ["replay", "--input", str(source), "--output", str(tmp_path / "out"), "--products", "kawaach"]
    assert main(words) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"{source / 'telemetry'}: 2,010 of 10,000 records are refused, 20.1% where 20% may be" in told
    assert "seems to be in seconds" in told
    assert "--max-refused-share" in told
    assert not (tmp_path / "out").exists()
    assert main([*words, "--max-refused-share", "0.21"]) == 0
    with pytest.raises(InputError):
        read_inputs(source, load_products(), limit=RefusalLimit(0.2))
    graph = Graph(settings_of(source), durable=False)
    for path in sorted((source / "telemetry").iterdir()):
        graph.read("telemetry", FilePart(path))
    with pytest.raises(InputError, match=r"telemetry: 2,010 of 10,000 records are refused"):
        graph.collected().require_within(LIMIT, source)
    graph.collected().require_within(RefusalLimit(0.21), source)
    graph.collected().require_within(None, source)


def accounts_line(stream, seen):
    return f"{STATISTICS} {result(STATISTICS, (stream, seen)).payload.decode()}\n"


def test_a_running_job_is_watched_through_what_it_commits(tmp_path):
    folder = tmp_path / "accounts"
    folder.mkdir()
    (folder / "part-0-0.jsonl").write_text(accounts_line("telemetry", statistics(50_000, 50_000)))
    watch = DeadLetterLimit(folder, LIMIT, tmp_path / "in")
    watch()  # another run's
    refused = accounts_line("telemetry", statistics(9_000, 9_000))
    (folder / "part-0-1.jsonl").write_text(f'part 1\ncounts ["telemetry",{{}}]\n{refused}')
    watch()
    watch()  # once each
    (folder / ".part-0-2.jsonl.inprogress").write_text(refused)
    watch()
    (folder / "part-0-2.jsonl").write_text(refused)
    told = r"in/telemetry: 18,000 of 18,000 records are refused.*The job was stopped.*--resume"
    with pytest.raises(InputError, match=told):
        watch()
    DeadLetterLimit(folder, None, tmp_path / "in")()


def test_a_look_is_whole_after_its_way():
    seen = InputStatistics.of(3, [dead("a"), dead("b", ONE_ARRAY)], grid_squares([1], [2]))
    assert pack(seen)
    graph_said = result(STATISTICS, ("telemetry", seen)).payload
    assert json.loads(graph_said)[1]["refused"] == {"a": [1, "x"], "b": [1, ONE_ARRAY]}


# Links.


def test_links_out_of_the_input_are_told_on_a_line(tmp_path, capsys):
    source = write_streams(tmp_path / "in", small_storm())
    elsewhere = tmp_path / "part.jsonl"
    (source / "telemetry" / "part-0.jsonl").rename(elsewhere)
    (source / "telemetry" / "linked.jsonl").symlink_to(elsewhere)
    assert main(["replay", "--input", str(source), "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err == (
        "monsoon replay: warning: links lead out of the input, and are followed: "
        f"telemetry/linked.jsonl -> {elsewhere}\n"
    )
    assert str(elsewhere) not in (tmp_path / "out" / "summary.json").read_text(), "it says nothing of where it ran"


def test_a_stream_without_records_is_warned_of(tmp_path, capsys):
    source = write_streams(tmp_path / "in", small_storm() | {"telemetry": []})
    assert main(["replay", "--input", str(source), "--output", str(tmp_path / "out"), "--products", "kawaach"]) == 0
    warning = "telemetry: holds no record; every rider is assumed to be at home"
    assert warning in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["warnings"] == [warning]
