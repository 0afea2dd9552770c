"""`monsoon run` in a process group of its own, to be watched, stopped and killed; and what runs wrote, to compare."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from monsoon.sinks.folder import STREAMS
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products

PRODUCTS = load_products()
PATIENCE_S = 600
COMMAND_PART_BYTES = 300_000
"""Size of parts in commands that are to be stopped on the way."""


def written(folder):
    """Every output by name: its lines sorted, and the summary's bytes."""
    found = {
        stream: sorted(line for part in (folder / stream).iterdir() for line in part.read_bytes().splitlines())
        for stream in STREAMS
    }
    return found | {"summary": (folder / "summary.json").read_bytes()}


def locally(source, folder):
    """What the local engine writes."""
    from monsoon.pipelines.local.replay import replay

    replay(source, folder, PRODUCTS, list(PRODUCTS), load_scorer())
    return written(folder)


def in_batch(source, folder, parallelism=1, buckets=3):
    """What a replay on Flink writes."""
    from monsoon.pipelines.flink.replay import replay

    replay(source, folder, PRODUCTS, list(PRODUCTS), parallelism=parallelism, buckets=buckets)
    return written(folder)


def streaming(source, folder, parallelism=1, part_bytes=200_000):
    """What a run on Flink writes."""
    from monsoon.pipelines.flink.run import RunOptions, run

    checkpoints = folder.with_name(f"{folder.name}.checkpoints")
    running = RunOptions(checkpoints, parallelism, checkpoint_interval_ms=500, part_bytes=part_bytes)
    run(source, folder, PRODUCTS, list(PRODUCTS), running)
    return written(folder)


class Command:
    """`monsoon run` on `source` into `output`, started."""

    def __init__(self, source, output, *options, interval_ms=300):
        words = ["--input", str(source), "--output", str(output), "--checkpoint-interval-ms", str(interval_ms)]
        words += ["--part-bytes", str(COMMAND_PART_BYTES), "--buckets", "4"]
        self.output, self.checkpoints = Path(output), Path(f"{output}.checkpoints")
        self.before = self.moment()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "monsoon.cli.main", "run", *words, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name != "MONSOON_FLINK_LOG"},
        )

    def moment(self):
        """When the newest checkpoint was complete, in nanoseconds; 0 for none."""
        return max((path.stat().st_mtime_ns for path in self.checkpoints.glob("*/chk-*/_metadata")), default=0)

    def wait_until(self, condition):
        """Until the condition holds; the command must still run."""
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, f"ended before: {self.process.communicate()}"
            assert time.monotonic() < end_s, "did not happen in time"
            time.sleep(0.02)

    def wait_for_checkpoints(self, many=1):
        """Until so many are complete, this command's own."""
        seen = {self.before}

        def enough():
            seen.add(max(self.before, self.moment()))
            return len(seen) > many

        self.wait_until(enough)

    def parts_read(self):
        """How many parts of files have been read, by what was committed."""
        lines = (line for part in (self.output / "accounts").glob("part*.jsonl") for line in part.open())
        return sum(line.startswith("part ") for line in lines)

    def signal(self, number):
        """To the whole group, as a terminal or a shutdown does; returns (exit code, stdout, stderr)."""
        os.killpg(self.process.pid, number)
        return self.end()

    def end(self):
        """Waits for the end; returns (exit code, stdout, stderr)."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err

    def kill(self):
        return self.signal(signal.SIGKILL)

    def python_workers(self):
        """The processes in which Flink runs Python."""
        return [pid for pid in self.members() if b"pyflink.fn_execution" in _of(pid, "cmdline")]

    def jvm(self):
        """The process in which Flink runs."""
        return next(pid for pid in self.members() if _of(pid, "comm") == b"java\n")

    def members(self):
        """All processes of the group but zombies."""
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
        stats = {pid: _of(pid, "stat").rpartition(b")")[2].split() for pid in pids}
        return [
            pid for pid, fields in stats.items() if fields and int(fields[2]) == self.process.pid and fields[0] != b"Z"
        ]


def _of(pid, name):
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def asked(port, path, body=None):
    """What Flink's REST API answers; None while it does not."""
    request = urllib.request.Request(
        f"http://localhost:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except OSError:
        return None


def running_job(port):
    """The id of the one job, once it runs; None before."""
    jobs = (asked(port, "/jobs") or {}).get("jobs", [])
    return next((job["id"] for job in jobs if job["status"] == "RUNNING"), None)
