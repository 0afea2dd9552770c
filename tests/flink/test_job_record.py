"""A job for a cluster: what its client refuses before anything is submitted. Starts no JVM."""

import json

import pytest
from kit.streams import small_storm, write_streams

from monsoon.pipelines.flink.errors import ClusterError
from monsoon.pipelines.flink.file_splits import plan
from monsoon.pipelines.flink.job import main
from monsoon.pipelines.flink.job_record import RECORD, Keying, keying_of, recorded
from monsoon.pipelines.flink.run import identity_of, keying_for
from monsoon.sinks.folder import OutputError
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products


@pytest.fixture(scope="module")
def scorer():
    return load_scorer()


def identity(source, scorer, keying=None):
    return identity_of(source, plan(source, 50_000)[0], load_products(["kawaach"]), scorer, keying or Keying(4))


@pytest.fixture
def begun(tmp_path, scorer):
    """A job that wrote something; its input and output."""
    source, output = write_streams(tmp_path / "in", small_storm(8.0)), tmp_path / "new" / "out"
    with recorded(output, identity(source, scorer), None):
        (output / "claims").mkdir()
    return source, output


def test_a_new_job_writes_to_no_folder_that_holds_anything(begun, scorer):
    _, output = begun
    with pytest.raises(OutputError, match=r"holds something .*flink run -s"), recorded(output, {}, None):
        pytest.fail("submitted")
    (output / "claims").rmdir()
    (output / RECORD).rename(output / "mine.txt")
    with pytest.raises(OutputError, match=r"holds something \(mine.txt\)"), recorded(output, {}, None):
        pytest.fail("submitted")


def test_a_job_goes_on_with_what_it_was_begun_with(begun, scorer):
    source, output = begun
    with recorded(output, identity(source, scorer), "file:///savepoint"):
        pass
    assert json.loads((output / RECORD).read_text())["input"] == str(source)


def test_buckets_are_a_part_of_the_state(begun, scorer):
    source, output = begun
    assert keying_of(output) == Keying(4, by_region=True)
    assert [keying_for(None, None, slots).buckets for slots in (1, 2, 16, 40)] == [8, 16, 128, 128]
    with pytest.raises(ClusterError, match=r"parallelism 5: more slots than the job has buckets \(4\)"):
        keying_for(None, keying_of(output), 5)
    with (
        pytest.raises(OutputError, match=r"begun with another buckets \(4, not 8\)"),
        recorded(output, identity(source, scorer, keying_for(8, keying_of(output), 2)), "file:///savepoint"),
    ):
        pytest.fail("submitted")
    assert keying_of(output / "none") is None


def test_a_job_of_before_had_four_buckets_and_a_key_for_each_trigger(begun, scorer):
    source, output = begun
    before = json.loads((output / RECORD).read_text())
    del before["buckets"], before["keys of triggers"]
    (output / RECORD).write_text(json.dumps(before))
    keying = keying_for(None, keying_of(output), 2)
    assert keying == Keying(4, by_region=False)
    with recorded(output, identity(source, scorer, keying), "file:///savepoint"):
        pass
    with (
        pytest.raises(OutputError, match=r"begun with another keys of triggers \(trigger, not region\)"),
        recorded(output, identity(source, scorer), "file:///savepoint"),
    ):
        pytest.fail("submitted")


@pytest.mark.parametrize("change", ["added", "removed", "said otherwise"])
def test_a_changed_folder_is_not_gone_on_with(begun, scorer, change):
    source, output = begun
    file = source / "telemetry" / "part-0.jsonl"
    if change == "added":
        (source / "telemetry" / "later.jsonl").write_text(file.read_text())
    elif change == "removed":
        file.rename(source / "telemetry" / "aside")
    else:
        file.write_text(file.read_text().replace("80.0", "81.0", 1))
    with (
        pytest.raises(OutputError, match="begun with another content of the input"),
        recorded(output, identity(source, scorer), "file:///savepoint"),
    ):
        pytest.fail("submitted")


def test_state_is_not_gone_on_with_into_another_output(tmp_path):
    with pytest.raises(OutputError, match="holds no job to go on with"), recorded(tmp_path / "other", {}, "file:///s"):
        pytest.fail("submitted")
    assert not (tmp_path / "other").exists()


def test_a_job_that_could_not_be_submitted_leaves_nothing_in_the_way(tmp_path, begun):
    with pytest.raises(RuntimeError, match="no slots"), recorded(tmp_path / "out", {}, None):
        raise RuntimeError("no slots")
    assert list((tmp_path / "out").iterdir()) == []
    _, output = begun
    with pytest.raises(RuntimeError, match="lost"), recorded(output, {}, "file:///s"):
        raise RuntimeError("lost")
    assert (output / RECORD).exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--input", "s3://bucket/in", "--output", "out"], "s3://bucket/in: is an address of s3"),
        (["--input", "in", "--output", "s3://bucket/out"], "s3://bucket/out: is an address of s3"),
        (["--input", "in", "--output", "out", "--model", "nowhere"], "nowhere"),
    ],
)
def test_places_are_of_this_machine(tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
