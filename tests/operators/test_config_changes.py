"""Products and models that come while the job runs: refused or taken over, and then as if they had been there."""

import random
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from kit import at
from kit.graph import PRODUCTS, Graph, StillPhoneScorer, same, settings_of
from kit.streams import in_order, write_streams
from operators.test_simulated_cluster import places_apart

from monsoon.pipelines.flink import control
from monsoon.pipelines.flink.control import ControlInput, ControlledConfig
from monsoon.pipelines.flink.file_splits import plan
from monsoon.pipelines.operators.validate import Validate
from monsoon.pipelines.runtime.config_changes import EventTimeUnknownError, UpdateError, with_update
from monsoon.sources.control_records import (
    Decision,
    ModelUpdate,
    ProductUpdate,
    decode_control_record,
    encode_control_record,
    erasure_request,
    model_update,
    product_update,
)
from monsoon.sources.kafka.control_log import LoggedRecord
from monsoon.transforms.claim_scores import scheduled_scores_of
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.measure import Evidence
from monsoon.transforms.scoring import ModelSchedule
from monsoon.transforms.scoring.folder import build_manifest, read_model_folder

pytestmark = pytest.mark.flink  # for its process functions; no JVM is started


@pytest.fixture
def kawaach(root):
    return (root / "products" / "kawaach.yaml").read_text(encoding="utf-8")


def version(kawaach, minutes):
    """A version of kawaach with the same terms that is in force from a minute on."""
    moment = datetime.fromtimestamp(at(minutes) / 1000, UTC).isoformat()
    return ProductUpdate("kawaach@next.yaml", f'{kawaach}\nin_force_from: "{moment}"\n')


def another_product(kawaach, name="sixth"):
    return ProductUpdate(f"{name}.yaml", kawaach.replace("name: kawaach", f"name: {name}", 1))


def another_model(root, in_force_from_ms, folder="claim_anomaly"):
    """The model that comes with Monsoon, with another card, and so another version."""
    _, update = model_update(root / "models" / "onnx" / folder, in_force_from_ms)
    contents = {name: content for name, content in update.files.items() if name != "manifest.json"}
    contents["model_card.md"] += b"\nanother\n"
    manifest = build_manifest(folder, contents)
    return ModelUpdate("another", {"manifest.json": msgspec.json.encode(manifest), **contents}, in_force_from_ms)


def written_model(folder, root):
    """The folder of that model."""
    folder.mkdir()
    for name, content in another_model(root, None).files.items():
        (folder / name).write_bytes(content)
    return folder


class MemoryLog:
    """A control topic in memory."""

    topic = "control"

    def __init__(self, records=()):
        self.records = [encode_control_record(record) for record in records]
        self.next = 0

    def read(self):
        found = [LoggedRecord(n, value) for n, value in enumerate(self.records) if n >= self.next]
        self.next = len(self.records)
        return found

    def append(self, key, value):
        self.records.append(value)
        return len(self.records) - 1

    def another_reader(self):
        reader = MemoryLog()
        reader.records = self.records
        return reader

    def decisions(self):
        found = [decode_control_record(value) for value in self.records if value.startswith(b'{"kind":"decision"')]
        return {decision.offset: decision for decision in reversed(found)}


@pytest.fixture
def base(tmp_path):
    return replace(settings_of(tmp_path, 4, reserves=False), takes_changes=True)


def test_a_new_product_runs_whatever_event_time_is(base, kawaach):
    for event_time_ms in (None, at(0)):
        config, from_ms = with_update(base, another_product(kawaach), event_time_ms)
        assert config.running.keys() == config.known.keys() == {*base.running, "sixth"}
        assert from_ms == -(2**62)
        assert config.trigger_of_id.items() > base.trigger_of_id.items()


def test_a_version_is_taken_over_before_it_is_in_force(base, kawaach):
    config, from_ms = with_update(base, version(kawaach, 10), at(10) - 1)
    assert from_ms == at(10)
    assert [each.from_ms for each in config.running["kawaach"].versions] == [-(2**62), at(10)]
    assert config.trigger_of_id.items() > base.trigger_of_id.items()
    with pytest.raises(EventTimeUnknownError):
        with_update(base, version(kawaach, 10), None)


@pytest.mark.parametrize(
    ("update", "fault"),
    [
        (lambda text: version(text, 10), "event time has come to"),
        (lambda text: ProductUpdate("kawaach.yaml", text), "this version of 'kawaach' runs already"),
        (lambda text: ProductUpdate("k.yaml", text + "\n# other\n"), "is the newest: give it a later in_force_from"),
        (lambda text: ProductUpdate("k.yaml", "name: [1"), "not YAML"),
        (lambda text: ProductUpdate("k.yaml", text.replace("plans:", "plan:")), "plan"),
        (lambda text: ProductUpdate("k.yaml", ""), "k.yaml"),
    ],
)
def test_a_broken_or_late_product_is_refused(base, kawaach, update, fault):
    with pytest.raises(UpdateError, match=fault) as caught:
        with_update(base, update(kawaach), at(10))
    assert all(isinstance(each, str) for each in caught.value.faults)


def test_models(base, root):
    config, from_ms = with_update(base, another_model(root, at(10)), at(9))
    assert from_ms == at(10)
    assert with_update(base, another_model(root, None), at(9))[1] == at(9) + 1
    with pytest.raises(UpdateError, match="another model is in force"):
        with_update(config, another_model(root, at(10)), at(9))
    with pytest.raises(UpdateError, match="event time has come to"):
        with_update(base, another_model(root, at(10)), at(10))
    with pytest.raises(UpdateError, match="features that claims do not have"):
        with_update(base, another_model(root, at(10), "outage"), at(9))
    broken = another_model(root, at(10))
    broken.files["calibration.json"] = b"{}"
    with pytest.raises(UpdateError, match="SHA-256"):
        with_update(base, broken, at(9))
    with pytest.raises(UpdateError, match="has no manifest"):
        with_update(base, ModelUpdate("m", {}), at(9))


def test_records_survive_the_topic(root):
    for key, update in (
        product_update(root / "products" / "gic.yaml"),
        model_update(root / "models" / "onnx" / "claim_anomaly", 5),
    ):
        assert decode_control_record(encode_control_record(update)) == update
        assert key.split("/")[0] in ("product", "model")
    folder = read_model_folder(root / "models" / "onnx" / "claim_anomaly")
    assert update.folder().version == folder.version


def test_the_first_decision_stands_and_all_readers_agree(base, kawaach, root):
    log = MemoryLog([another_product(kawaach), version(kawaach, 10), another_model(root, at(20))])
    log.append("x", b"\xff not JSON")
    log.append("x", None)
    log.records = [value or b"" for value in log.records]
    one = ControlledConfig(base, log, "g")
    other = ControlledConfig(base, log.another_reader(), "g")
    assert one.current == (0, base)
    changes, config = one.decide(None)  # event time is not known: the product alone
    assert (changes, "sixth" in config.running) == (1, True)
    assert one.decide(at(5))[0] == 3
    assert other.decide(at(30)) == one.current  # too late for the version, but another was first
    assert [(n, bool(decision.faults)) for n, decision in sorted(log.decisions().items())] == [
        (0, False),
        (1, False),
        (2, False),
        (3, True),
        (4, True),
    ]
    after_restart = ControlledConfig(base, log.another_reader(), "g")
    assert after_restart.refresh() == one.current
    elsewhere = ControlledConfig(base, log.another_reader(), "another group")
    assert elsewhere.refresh() == (0, base)
    assert other.at_least(3) == one.current


def test_a_refused_version_changes_nothing(base, kawaach):
    log = MemoryLog([ProductUpdate("k.yaml", "name: [1"), version(kawaach, 10)])
    one = ControlledConfig(base, log, "g")
    assert one.decide(at(10)) == (0, base)
    assert all(decision.faults for decision in log.decisions().values())
    assert one.decide(at(11)) == (0, base)
    assert len(log.records) == 4  # each was decided on once


def test_a_forged_decision_on_what_cannot_be_used_is_ignored(base):
    log = MemoryLog([ProductUpdate("k.yaml", "name: [1"), Decision("g", 0, (), 5, 5), Decision("g", 77)])
    assert ControlledConfig(base, log, "g").refresh() == (0, base)


class Named(StillPhoneScorer):
    def __init__(self, version):
        self.version = version


def test_a_claim_is_scored_by_the_model_of_its_confirmation():
    evidence = Evidence(
        {name: np.array([0.2, np.nan, 0.0, 0.2]) for name in FEATURE_NAMES},
        {name: np.array([1, 0, 2, 3], dtype=np.int32) for name in FEATURE_NAMES},
    )
    models = ModelSchedule(Named("a"), [(30, Named("c")), (20, Named("b"))])
    scores = scheduled_scores_of(evidence, np.array([30, 19, 20, 29]), models, PRODUCTS["kawaach"])
    assert [score.model for score in scores] == ["c", "a", "b", "b"]
    assert [score.features["accelerometer_variance"] for score in scores] == [0.2, None, 0.0, 0.2]
    alone = scheduled_scores_of(evidence, np.array([30, 19, 20, 29]), ModelSchedule(Named("a")), PRODUCTS["kawaach"])
    assert [score.risk for score in scores] == [score.risk for score in alone]


def played(source, settings, chance, parallelism, log=None):
    """The outcome of a job that takes over what is in a log, some time before the readings, and is restarted now and
    then."""
    from kit.cluster import Job

    parts, _ = plan(source, 8_000)
    told_by = next(number for number, part in enumerate(parts) if part.low_ms > at(0))
    given = None if log is None else ControlInput("nowhere", "control", str(chance.random()))
    if given is not None:
        control._OF_PROCESS[given] = ControlledConfig(settings, log, "g")
    job = Job(settings, parts, chance, parallelism, control=given)
    changes = 0
    while not job.ended:
        # A turn may give the job a part, and none of them may be of after the change when it is told.
        before = 20 if job.given < told_by - 20 else 1
        job.run(chance.randint(50, 400) if changes or given is None else before)
        if given is not None and not changes and (chance.random() < 0.1 or job.given >= told_by):
            assert (job.low_ms or 0) < at(15)
            changes, _ = control._OF_PROCESS[given].decide(BEFORE_MS)
            for number in range(parallelism):
                job.tell(changes, number)
        if not job.ended and chance.random() < 0.2:
            job.restart()
    if given is not None:
        assert changes == 1
    return job.collected().outcome


BEFORE_MS = at(-100)


@pytest.mark.slow
@pytest.mark.parametrize(("what", "seed"), [("version", 0), ("model", 1)])
def test_as_if_it_had_been_there(tmp_path, root, kawaach, what, seed):
    """Subtasks hear of a change in any order, some after others have sent what follows from it; restarts anywhere."""
    source = write_streams(tmp_path / "in", in_order(places_apart()))
    update = {"version": lambda: version(kawaach, 15), "model": lambda: another_model(root, at(15))}[what]()
    base = replace(settings_of(source, 4, products=["kawaach"]), takes_changes=True)
    chance = random.Random(seed)
    # Known to the topic alone, and from the start.
    found = played(source, base, chance, 1 + seed % 2, MemoryLog([update]))
    expected = played(source, with_update(base, update, BEFORE_MS)[0], random.Random(seed), 1)
    same(found, expected)
    name = "product_version" if what == "version" else "model_version"
    assert len({record[name] for record in expected.claims}) == 2


def test_an_erasure_asked_for_again_is_no_change(base):
    _, request = erasure_request("w1", at(0))
    log = MemoryLog([request, request])
    one = ControlledConfig(base, log, "g")
    assert one.decide(None) == (0, base)
    changes, config = one.decide(at(5))
    assert (changes, len(config.erasures)) == (1, 1)
    decisions = log.decisions().values()
    assert [decision.faults for decision in decisions] == [(), ()]
    assert {decision.in_force_from_ms for decision in decisions} == {config.erasures[0].at_ms}


@pytest.mark.slow
def test_riders_are_erased_at_one_moment_by_all(tmp_path):
    """Subtasks hear of it in any order, some after others have erased; restarts anywhere; reports that were read by
    who did not know. The records are those of operators that knew it from the start."""
    from kit.cluster import Job

    source = write_streams(tmp_path / "in", in_order(places_apart()))
    base = replace(settings_of(source, 4, products=["kawaach"]), takes_changes=True)
    config = base
    log = MemoryLog(erasure_request(worker, at(-20))[1] for worker in ("w8", "w12"))
    for value in log.records:
        config = with_update(config, decode_control_record(value), at(-20))[0]
    expected = Graph(config)
    expected.validate = Validate(base)
    expected.read_folder(source)
    chance = random.Random(1)
    given = ControlInput("nowhere", "control", "1")
    control._OF_PROCESS[given] = ControlledConfig(base, log, "g")
    parts, _ = plan(source, 8_000)
    told_by = next(number for number, part in enumerate(parts) if part.low_ms > at(-30))
    job = Job(base, parts, chance, 2, control=given)
    while job.given < told_by - 2:
        job.run(1)
    assert (job.low_ms or 0) < at(-20)
    changes, _ = control._OF_PROCESS[given].decide(at(-20))
    assert changes == 2
    for number in range(2):
        job.tell(changes, number)
    while not job.ended:
        job.run(chance.randint(50, 400))
        if not job.ended and chance.random() < 0.2:
            job.restart()
    found, expected = job.collected(), expected.finish()
    same(found.outcome, expected.outcome)
    assert sorted(map(str, found.dead_letters)) == sorted(map(str, expected.dead_letters))
    untouched = Graph(base)
    untouched.read_folder(source)
    with pytest.raises(AssertionError):
        same(found.outcome, untouched.finish().outcome)
