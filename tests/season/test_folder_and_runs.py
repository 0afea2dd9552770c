"""A season's folder: what is kept, what is refused; and runs that fail, or whose processes are killed."""

import tempfile

import msgspec
import pytest

from monsoon.pipelines.season import run as running
from monsoon.pipelines.season.errors import SeasonError
from monsoon.pipelines.season.folder import SETTINGS, SeasonFolder, replay_path, write_replay
from monsoon.pipelines.season.replays import LineLoss, Replay
from monsoon.pipelines.season.settings import SeasonSettings, StormSettings
from monsoon.sinks.folder import OutputError

STORM = StormSettings("rain", "rain", "Delhi", "0", per_year=1.0, dispersion=1.0, months=(6,))
SETTINGS_A = SeasonSettings(
    years=10, seed=5, storms=(STORM,), riders=50, replicates=4, products={"p": "1"}, product_files=(), models={}
)
WANTED = [("rain", 0), ("rain", 1), ("rain", 2)]


def replay(replicate, paid_paise=700):
    line = LineLoss("p", "standard", 50, 9, 7, 1, paid_paise, 100)
    return Replay("rain", replicate, 1, 1.0, 50, (line,))


@pytest.fixture
def folder(tmp_path):
    place = SeasonFolder(tmp_path / "season", SETTINGS_A)
    with place.locked():
        yield place


def test_finished_replays_are_kept_and_broken_files_do_not_count(folder, tmp_path):
    for number in range(3):
        write_replay(folder.path, replay(number))
    replay_path(folder.path, "rain", 1).write_text('{"storm": "rain", "repl')
    replay_path(folder.path, "rain", 2).write_bytes(replay_path(folder.path, "rain", 0).read_bytes())
    assert folder.finished(WANTED) == {("rain", 0): replay(0)}


def test_a_folder_of_other_settings_is_refused_by_the_first_that_differ(folder):
    SeasonFolder(folder.path, SETTINGS_A)
    for change, told in (
        ({"seed": 6}, "seed: 5 there, 6 here"),
        ({"years": 20}, "years: 10 there, 20 here"),
        ({"products": {"p": "2"}}, r"\(products\)"),
    ):
        with pytest.raises(OutputError, match=told) as refused:
            SeasonFolder(folder.path, msgspec.structs.replace(SETTINGS_A, **change))
        assert "give the same settings to go on with it, or --output a new or empty folder" in str(refused.value)


def test_a_folder_that_is_no_season_or_in_use_is_refused(folder, tmp_path):
    with (
        pytest.raises(OutputError, match="another season is being computed here"),
        SeasonFolder(folder.path, SETTINGS_A).locked(),
    ):
        pass
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(OutputError, match=r"not a season \(thesis.txt\)"):
        SeasonFolder(tmp_path / "mine", SETTINGS_A)
    with pytest.raises(OutputError, match="is a file"):
        SeasonFolder(tmp_path / "mine" / "thesis.txt", SETTINGS_A)
    (folder.path / SETTINGS).write_text("{")
    with pytest.raises(OutputError, match="cannot be read"):
        SeasonFolder(folder.path, SETTINGS_A)


FINISHES = """
import json, os, shutil, signal, sys
missing = json.load(sys.stdin)
def finish(name):
    place = os.path.join(sys.argv[1], "replays", name)
    assert not os.path.exists(place), "it is asked for what is finished"
    shutil.copy(os.path.join(os.environ["FINISHED"], name), place)
"""


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Replaces the program that runs Beam: it has the replays that are `missing`, and `finish` for the file of one."""
    (tmp_path / "finished" / "replays").mkdir(parents=True)
    for number in range(3):
        write_replay(tmp_path / "finished", replay(number))
    monkeypatch.setenv("FINISHED", str(tmp_path / "finished" / "replays"))

    def use(body, head=FINISHES):
        monkeypatch.setattr(running, "_PROGRAM", head + body)

    return use


def test_a_process_that_is_killed_loses_what_was_under_way_and_the_rest_is_begun_again(folder, program):
    """It is killed after each replay, and never asked for one that is finished."""
    program("finish('rain.%04d.json' % missing[0][1]); os.kill(os.getpid(), signal.SIGKILL)")
    assert running.run_replays(folder, WANTED, 2) == {("rain", number): replay(number) for number in range(3)}


def test_a_process_that_is_killed_leaves_no_temporary_files(folder, program, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    program("""
import tempfile
with open(os.path.join(os.environ["FINISHED"], "..", "at"), "a") as at:
    at.write(tempfile.mkdtemp() + "\\n")
finish("rain.%04d.json" % missing[0][1])
os.kill(os.getpid(), signal.SIGKILL)
""")
    running.run_replays(folder, WANTED, 2)
    made = (tmp_path / "finished" / "at").read_text().splitlines()
    assert len(made) == 3
    assert all(each.startswith(str(tmp_path / "temporary")) for each in made)
    assert not list((tmp_path / "temporary").iterdir())


def test_killed_again_and_again_is_told_with_what_is_kept(folder, program):
    write_replay(folder.path, replay(0))
    program("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(SeasonError, match=r"killed 3 times .* 1 of 3 replays are kept: run the same command again"):
        running.run_replays(folder, WANTED, 2)


def test_a_replay_that_fails_is_told_by_its_error(folder, program):
    program("raise OSError(28, 'No space left on device')")
    with pytest.raises(SeasonError, match=r"a replay failed: OSError: .*No space left on device; 0 of 3"):
        running.run_replays(folder, WANTED, 1)


def test_what_is_finished_starts_no_process(folder, program):
    for number in range(3):
        write_replay(folder.path, replay(number))
    program("raise AssertionError")
    assert len(running.run_replays(folder, WANTED, 1)) == 3


def test_a_folder_killed_before_its_first_replay_is_a_season(tmp_path, monkeypatch):
    """Its settings are what it is known by, so they come first."""
    place = SeasonFolder(tmp_path / "season", SETTINGS_A)
    monkeypatch.setattr(SeasonFolder, "write", lambda *unused: 1 / 0)
    with pytest.raises(ZeroDivisionError), place.locked():
        pass
    SeasonFolder(tmp_path / "season", SETTINGS_A)


def test_a_process_that_ends_before_it_has_read_its_replays_is_told(folder, program):
    program("", head="import sys; sys.exit('an error: nothing works here')")
    many = [("rain", number) for number in range(20_000)]  # more than a pipe holds
    with pytest.raises(SeasonError, match="nothing works here"):
        running.run_replays(folder, many, 1)
