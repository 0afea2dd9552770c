"""The live job stopped in the middle of a storm and restored with something else, while reports keep coming."""

import filecmp
import json
import shutil
from datetime import UTC, datetime

import pytest
from kit import at, reading_record
from kit.live_job import Committed, Some, read, settings, topics_for, write
from kit.streams import small_storm, write_streams
from operators.test_config_changes import written_model

from monsoon.cli.main import main
from monsoon.pipelines.stack.submit import submit
from monsoon.sinks.folder import STREAMS
from monsoon.sources.kafka.history import History
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products

pytestmark = [pytest.mark.flink, pytest.mark.slow]


STOPPED_MIN = 25
"""The curfew at 0 is decided, the rain at 30 is to come."""


def restored(stack, source, before, after):
    """What a job commits that is stopped in the middle of a storm, and restored with the other settings."""
    prefix = before.kafka.topic_prefix
    with History(source) as history:
        lines, first_ms = list(history), history.first_ms
    producer = topics_for(stack, prefix)
    middle = next(n for n, line in enumerate(lines) if line.time_ms > at(STOPPED_MIN))
    job = submit(stack, before)
    producer.send(Some(lines[:middle], first_ms))
    committed = Committed(stack.broker.address, prefix)
    committed.wait(lambda found: read(found) >= middle)
    savepoint = stack.cluster.stop_with_savepoint(job)
    producer.send(Some(lines[middle:], lines[middle].time_ms))
    job = submit(stack, after, savepoint)
    producer.end()
    collected = committed.wait_for_the_end()
    assert read(committed.found) == len(lines)
    stack.cluster.cancel(job)
    stack.broker.delete_topics(prefix)
    return collected


def test_a_restored_job_goes_on(stack, tmp_path, root):
    """At another parallelism, with a product that nobody holds."""
    source, product = write_streams(tmp_path / "in", small_storm()), tmp_path / "cyclone.yaml"
    shutil.copy(root / "tests" / "products" / "cyclone.yaml", product)
    replayed = ["--output", str(tmp_path / "replay"), "--product-file", str(product)]
    assert main(["replay", "--input", str(source), *replayed]) == 0
    prefix = "savepoint-"
    collected = restored(stack, source, settings(stack, prefix), settings(stack, prefix, 1, [product]))
    write(collected, tmp_path / "live", load_products(extra=[product]))
    for stream in STREAMS:
        for expected in (tmp_path / "replay" / stream).iterdir():
            assert filecmp.cmp(expected, tmp_path / "live" / stream / expected.name, shallow=False), stream
    assert json.loads((tmp_path / "live" / "summary.json").read_text())["records"]["payouts"]


CHANGE_MIN = 65


def stricter_rain(tmp_path, root):
    """A version of kawaach in force from then on, which rain of 80 mm does not breach any more."""
    text = (root / "products" / "kawaach.yaml").read_text()
    moment = datetime.fromtimestamp(at(CHANGE_MIN) / 1000, UTC).isoformat()
    assert '">= 75"' in text
    head = f'in_force_from: "{moment}"\nzone_resolution:'
    file = tmp_path / "kawaach@stricter.yaml"
    file.write_text(text.replace('">= 75"', '">= 95"').replace("zone_resolution:", head))
    return file


def test_a_job_restored_with_another_model_and_another_trigger_table(stack, tmp_path, root):
    """Rain of 80 mm pays before the new version is in force, and not after it; claims name the model that scored
    them."""
    storm = small_storm()
    later = [
        reading_record("rain_mm_24h", value, minutes, provider=provider, reading_id=f"{provider}-later-{minutes}")
        for value, minutes in ((80.0, 70), (110.0, 80))
        for provider in ("imd", "skymet")
    ]
    storm["oracle_readings"] += [{name: value for name, value in each.items() if value is not None} for each in later]
    source, version = write_streams(tmp_path / "in", storm), stricter_rain(tmp_path, root)
    model = written_model(tmp_path / "model", root)
    replayed = ["--output", str(tmp_path / "replay"), "--product-file", str(version)]
    assert main(["replay", "--input", str(source), *replayed]) == 0
    prefix = "exchanged-"
    after = settings(stack, prefix, 2, [version], model)
    collected = restored(stack, source, settings(stack, prefix), after)
    write(collected, tmp_path / "live", load_products(extra=[version]))
    old, new = load_scorer().version, load_scorer(model).version
    for stream in STREAMS:
        for file in (tmp_path / "replay" / stream).iterdir():
            found = (tmp_path / "live" / stream / file.name).read_text()
            assert found.replace(new, old) == file.read_text(), stream
    claims = [json.loads(line) for line in (tmp_path / "live" / "claims" / "part-00000.jsonl").read_text().splitlines()]
    decided = {name: [each["decided_at"] for each in claims if each["model_version"] == name] for name in (old, new)}
    assert max(decided[old]) <= min(decided[new])
    assert len({claim["product_version"] for claim in claims if claim["product"] == "kawaach"}) == 2
