"""Golden state: what every step keeps half way through a storm, written once by each version of the state.

    cd tests && python -m kit.golden

writes `golden/state-VERSION/` for the present STATE_VERSION, and refuses to write over one: what a release kept is what
later ones must read. Do so when STATE_VERSION is raised, and commit the folder.
"""

import gzip
import json
from pathlib import Path

import msgspec

from kit.graph import Scripted, StillPhoneScorer
from kit.streams import STREAMS, small_storm
from monsoon.pipelines.runtime.keyed_operator import STATE_VERSION

FOLDER = Path(__file__).resolve().parent.parent / "golden"
SETTINGS = {"buckets": 3, "scorer": StillPhoneScorer()}
HALVES = ("first", "rest")


def storm():
    """Two riders whose claims are held, two whose are paid, by StillPhoneScorer; and a line that cannot be read."""
    records = small_storm(every_min=2.0)
    for each in records["telemetry"]:
        if each["worker_id"] in ("w2", "w3"):
            del each["accel_var"]
    for some in records.values():
        some.sort(key=lambda record: record["event_time"])
    return records


def write(folder):
    """Plays the first half and writes the records of both, what was published, and every step's entries."""
    folder.mkdir(parents=True)
    records = storm()
    half_ms = records["oracle_readings"][len(records["oracle_readings"]) // 2]["event_time"]
    halves = {
        "first": {stream: [each for each in some if each["event_time"] <= half_ms] for stream, some in records.items()},
        "rest": {stream: [each for each in some if each["event_time"] > half_ms] for stream, some in records.items()},
    }
    for half in HALVES:
        lines = [json.dumps([stream, each]) for stream in STREAMS for each in halves[half][stream]]
        (folder / f"{half}.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
    source = Scripted(folder / "scratch", **SETTINGS)
    play(source, halves["first"])
    source.say("telemetry", ['{"unreadable": 1}'])
    source.graph.advance(half_ms - 30_000)
    state = {uid: {str(key): entries for key, entries in keys.items()} for uid, keys in source.graph.state.items()}
    for uid, keys in sorted(state.items()):
        (folder / f"{uid}.msgpack").write_bytes(msgspec.msgpack.encode(keys))
    (folder / "results.msgpack").write_bytes(msgspec.msgpack.encode(source.graph.results))
    for file in sorted((folder / "scratch").rglob("*.jsonl")):
        file.unlink()
    for place in sorted((folder / "scratch").rglob("*"), reverse=True):
        place.rmdir()
    (folder / "scratch").rmdir()


def play(source, records):
    """Records in the order of their times, watermarks in between."""
    marks = sorted({each["event_time"] // 600_000 * 600_000 for some in records.values() for each in some})
    for mark_ms in marks:
        source.graph.advance(mark_ms - 60_000)
        for stream in STREAMS:
            some = [each for each in records[stream] if mark_ms <= each["event_time"] < mark_ms + 600_000]
            if some:
                source.say(stream, some)


def read_half(folder, half):
    """The records of a half, by stream."""
    found = {stream: [] for stream in STREAMS}
    for line in gzip.decompress((folder / f"{half}.jsonl.gz").read_bytes()).decode().splitlines():
        stream, record = json.loads(line)
        found[stream].append(record)
    return found


def read_state(folder):
    """Every step's entries, by step and key; and the results so far."""
    state = {
        file.stem: {int(key): entries for key, entries in msgspec.msgpack.decode(file.read_bytes()).items()}
        for file in sorted(folder.glob("*.msgpack"))
        if file.stem != "results"
    }
    results = msgspec.msgpack.decode((folder / "results.msgpack").read_bytes(), type=list[tuple[str, bytes]])
    return state, results


if __name__ == "__main__":
    target = FOLDER / f"state-{STATE_VERSION}"
    if target.exists():
        raise SystemExit(f"{target.name} exists: raise STATE_VERSION and give MIGRATIONS what leads there")
    write(target)
