"""The job graph in memory: its steps driven by hand, watermark by watermark, and what the local engine says."""

import json
from pathlib import Path

import numpy as np

from kit import at
from kit.streams import write_streams
from monsoon.pipelines.flink.result_collector import CollectedResults
from monsoon.pipelines.local.replay import claim_evidence, read_inputs, run_products
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import END_OF_TIME_MS
from monsoon.pipelines.topology import OperatorFactory
from monsoon.sources.files import STREAMS, FilePart
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.testing.operator_harness import OperatorTestHarness
from monsoon.transforms.scoring import ModelSchedule, Scores

PRODUCTS = load_products()


def settings_of(source, buckets=3, products=None, **others):
    running = {name: PRODUCTS[name] for name in sorted(products or PRODUCTS)}
    reserves = others.pop("reserves", (Path(source) / "reserves").exists())
    return JobConfig(PRODUCTS, running, Path(source) / "reference", None, buckets, reserves, **others)


class Graph(OperatorTestHarness):
    """The steps in memory, perhaps with another scorer than the one that comes with Monsoon."""

    def __init__(self, settings, durable=True, scorer=None):
        factory = OperatorFactory(settings)
        if scorer is not None:
            factory._models = ModelSchedule(scorer)
        super().__init__(settings, durable, factory)
        self.scorer = scorer

    def finish(self):
        self.advance(END_OF_TIME_MS)
        return self.collected()

    def collected(self):
        return CollectedResults.of(self.results)

    def read_folder(self, source):
        """Reads every file of a folder, stream by stream."""
        for stream in STREAMS:
            for path in sorted((Path(source) / stream).iterdir()):
                self.read(stream, FilePart(path))

    def restored(self):
        """Another graph that goes on from what this one kept, its watermark still to come."""
        return Graph.resumed(self.settings, self.state, self.results, self.scorer)

    @classmethod
    def resumed(cls, settings, state, results=(), scorer=None):
        """A graph that goes on from kept entries, by step and key."""
        graph = cls(settings, scorer=scorer).resume(state)
        graph.results = list(results)
        return graph


class Scripted:
    """A source that says what the script says: files below `folder` that the local engine can replay as well."""

    def __init__(self, folder, **settings):
        self.folder = Path(folder)
        for stream in STREAMS:
            (self.folder / stream).mkdir(parents=True, exist_ok=True)
        self.parts = 0
        scorer = settings.pop("scorer", None)
        self.graph = Graph(settings_of(folder, **settings), scorer=scorer)

    def play(self, script):
        """`script` lists (minutes or None, records by stream): nothing earlier than that comes; then the records do."""
        for minutes, records in script:
            if minutes is not None:
                self.graph.advance(at(minutes) - 1)
            for stream, some in records.items():
                self.say(stream, some)
        return self

    def say(self, stream, records):
        """Records (dicts, or lines as they are) arrive."""
        self.parts += 1
        path = self.folder / stream / f"part-{self.parts:04d}.jsonl"
        path.parent.mkdir(exist_ok=True)
        lines = [each if isinstance(each, str) else json.dumps(_present(each)) for each in records]
        path.write_text("".join(f"{line}\n" for line in lines))
        self.graph.read(stream, FilePart(path))

    def restore(self):
        self.graph = self.graph.restored()

    def finish(self):
        return self.graph.finish()

    def locally(self):
        """Inputs and outcome of a replay that has all of it in time."""
        return locally(self.folder, self.graph.scorer)


def locally(source, scorer=None):
    """Inputs and outcome of the local engine."""
    inputs = read_inputs(Path(source), PRODUCTS)
    return inputs, run_products(dict(PRODUCTS), inputs, claim_evidence(inputs, Path(source), scorer or load_scorer()))


def by_both_engines(source, products):
    """Outcomes of the local engine and of the steps, which read file by file and then see all of time pass."""
    inputs, scorer = read_inputs(Path(source), products), load_scorer()
    expected = run_products(dict(products), inputs, claim_evidence(inputs, Path(source), scorer))
    graph = Graph(JobConfig(products, products, Path(source) / "reference", None, 2, False), durable=False)
    graph.read_folder(source)
    return expected, graph.finish().outcome


def restored_again_and_again(folder, records, steps):
    """What the steps say of records (by stream) that come in the order of time in so many parts, which are written
    below `folder`, where all is restored after each."""
    graph = Graph(settings_of(write_streams(folder, dict.fromkeys(STREAMS, ()))))
    everything = sorted(
        ((record["event_time"], stream, record) for stream, some in records.items() for record in some),
        key=lambda each: each[:2],
    )
    step = len(everything) // steps + 1
    for number in range(0, len(everything), step):
        part = everything[number : number + step]
        graph.advance(part[0][0] - 1)
        for stream in STREAMS:
            lines = [json.dumps(record) for _, of, record in part if of == stream]
            if lines:
                path = folder / stream / f"part-{number}.jsonl"
                path.write_text("".join(f"{line}\n" for line in lines))
                graph.read(stream, FilePart(path))
        graph = graph.restored()
    return graph.finish().outcome


def same(outcome, expected, streams=("disruptions", "claims", "payouts", "notifications", "reserve_alerts")):
    """The same records, whatever their order."""
    for stream in streams:
        mine, theirs = getattr(outcome, stream), getattr(expected, stream)
        assert sorted(map(json.dumps, mine)) == sorted(map(json.dumps, theirs)), stream


class StillPhoneScorer:
    """Calls a claim risky (0.5: a hold) unless the phone is known to have moved."""

    name, version = "still_phone", "1"

    def score(self, columns):
        moved = columns["accelerometer_variance"]
        risk = np.where(np.nan_to_num(moved) > 0.1, 0.1, 0.5)
        many = np.full(len(risk), 9, dtype=np.uint8)
        return Scores(risk, risk, many.astype(np.uint16), many)

    def weightiest(self, columns):
        return [() for _ in columns["accelerometer_variance"]]


def _present(record):
    return {name: value for name, value in record.items() if value is not None}
