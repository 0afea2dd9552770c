"""Products and a model that are given to the live job while it runs: without a restart, as if they had been there."""

import pytest
from kit import at
from kit.live_job import Committed, Some, read, settings, topics_for, write
from kit.streams import in_order, policy_record, report, write_streams
from operators.test_config_changes import another_product, version, written_model
from operators.test_simulated_cluster import places_apart

from monsoon.cli.main import main
from monsoon.contracts.topics import topic_name
from monsoon.pipelines.stack.submit import submit
from monsoon.sinks.folder import STREAMS
from monsoon.sources.kafka.control_log import ControlLog
from monsoon.sources.kafka.history import History
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products

pytestmark = [pytest.mark.flink, pytest.mark.slow]

PREFIX = "control-"
MIDDLE = -37
"""Minutes; the first curfew begins at -35, and policies of the product that comes now are stated after this."""


def storm():
    records = places_apart()
    for n in range(0, 32, 4):
        policy = policy_record(f"w{n}", f"q{n}", MIDDLE + 1, product="sixth")
        records["subscriptions"].append(policy | {"home_lat": report(f"w{n}", 0)["lat"]})
    return in_order(records)


def lines(folder, stream):
    return sorted(line for file in (folder / stream).iterdir() for line in file.read_text().splitlines())


def test_products_and_a_model_while_the_job_runs(stack, tmp_path, root, capsys):
    kawaach = (root / "products" / "kawaach.yaml").read_text(encoding="utf-8")
    files = {}
    for name, update in (("sixth", another_product(kawaach)), ("version", version(kawaach, 15))):
        files[name] = tmp_path / update.file
        files[name].write_text(update.content)
    (tmp_path / "broken.yaml").write_text(kawaach.replace("plans:", "plan:"))
    model = written_model(tmp_path / "another", root)
    source = write_streams(tmp_path / "in", storm())
    extra = [word for file in files.values() for word in ("--product-file", str(file))]
    assert main(["replay", "--input", str(source), "--output", str(tmp_path / "replay"), *extra]) == 0

    brokers = stack.broker.address
    producer = topics_for(stack, PREFIX)
    with History(source) as history:
        told, first_ms = list(history), history.first_ms
    middle = next(n for n, line in enumerate(told) if line.time_ms > at(MIDDLE))
    job = submit(stack, settings(stack, PREFIX))
    producer.send(Some(told[:middle], first_ms))
    committed = Committed(brokers, PREFIX)
    committed.wait(lambda found: read(found) >= middle)

    control = ["--brokers", brokers, "--prefix", PREFIX, "--group", PREFIX]

    def put(path, *more):
        return main(["control", "put", str(path), "--wait", "60", *more, *control])

    assert put(files["sixth"]) == 0
    assert put(files["version"]) == 0
    assert put(model, "--in-force-from", "2024-06-28T12:05:00+05:30") == 0
    capsys.readouterr()
    assert put(files["sixth"]) == 1
    assert "this version of 'sixth' runs already" in capsys.readouterr().err
    # What the command refuses by itself may come from elsewhere.
    log = ControlLog(brokers, topic_name("control", PREFIX))
    log.append("x", b'{"kind": "product", "file": "broken.yaml", "content": "name: [1"}')
    log.append("x", b"not JSON")
    log.close()
    assert main(["control", "put", str(tmp_path / "broken.yaml"), *control]) == 1

    producer.send(Some(told[middle:], told[middle].time_ms))
    producer.end()
    collected = committed.wait_for_the_end()
    capsys.readouterr()
    assert main(["control", "list", *control]) == 0
    listed = capsys.readouterr().out
    assert listed.count("in force") == 3
    assert listed.count("refused") == 3
    assert stack.cluster.get(f"/jobs/{job}")["timestamps"]["RESTARTING"] == 0
    stack.cluster.cancel(job)
    stack.broker.delete_topics(PREFIX)

    write(collected, tmp_path / "live", load_products(extra=files.values()))
    new, old = load_scorer(model).version, load_scorer().version
    for stream in STREAMS:
        found, expected = lines(tmp_path / "live", stream), lines(tmp_path / "replay", stream)
        if stream == "claims":
            assert any(new in line for line in found)
            assert any(old in line for line in found)
            assert any("sixth" in line for line in found)
            found = sorted(line.replace(new, old) for line in found)
        assert found == expected, stream
