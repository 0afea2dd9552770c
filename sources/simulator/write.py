"""A simulated storm as files: the input folder of `monsoon replay`, and the truth beside it."""

from __future__ import annotations

import gzip
import io
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from monsoon.sources.files import InputError
from monsoon.sources.simulator.frames import DEFAULT_ATTACKERS, Scenario, build_scenario
from monsoon.sources.simulator.population import rng_of
from monsoon.sources.simulator.storm import Storm

BLOCKS_PER_FILE = 8
THREADS = 2
RESENT = 0.001
"""Share of reports that the phone sends again, word for word, because no answer came."""
LABELS = "labels.csv"
PARTIAL = ".monsoon-partial"
ENTRIES = ("telemetry", "oracle_readings", "subscriptions", "reference", LABELS)

Progress = Callable[[str, float | None], None]
"""Called with the stage and the share of it that is done."""


@dataclass(frozen=True)
class SimulationSummary:
    """What was written."""

    riders: int
    attackers: int
    rings: int
    telemetry_rows: int
    readings: int
    subscription_events: int


def simulate(
    storm: Storm,
    riders: int,
    seed: int,
    output: Path,
    *,
    attackers: float = DEFAULT_ATTACKERS,
    gridded_only: bool = False,
    compress: bool = False,
    progress: Progress | None = None,
) -> SimulationSummary:
    """Writes telemetry/, oracle_readings/, subscriptions/, reference/ and labels.csv to `output`.

    The same arguments give the same bytes; memory does not grow with `riders` beyond a few hundred bytes each. An
    earlier simulation in `output` is replaced once the new one is whole. Raises InputError if `output` holds anything
    else, OSError if it cannot be written, ValueError and StormError as `build_scenario`.
    """
    scenario = build_scenario(storm, riders, seed, attackers=attackers, gridded_only=gridded_only)
    partial = _partial_folder(output)
    try:
        rows = _write(scenario, partial, compress, progress)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for name in ENTRIES:
        _remove(output / name)
        os.rename(partial / name, output / name)
    partial.rmdir()
    return SimulationSummary(
        riders=riders,
        attackers=int((scenario.labels["kind"] != "honest").sum()),
        rings=scenario.labels["ring"].drop_nulls().n_unique(),
        telemetry_rows=rows,
        readings=scenario.oracle_readings.height,
        subscription_events=scenario.subscriptions.height,
    )


def _partial_folder(output: Path) -> Path:
    """A new folder inside `output`, which must be new, empty or an earlier simulation."""
    if output.exists() and not output.is_dir():
        raise InputError("is a file", str(output), "Give --output a new or empty folder.")
    foreign = {entry.name for entry in output.iterdir()} - {*ENTRIES, PARTIAL} if output.is_dir() else set()
    if foreign:
        what = f"holds something that is not a simulation ({sorted(foreign)[0]})"
        raise InputError(what, str(output), "Give --output a new or empty folder.")
    partial = output / PARTIAL
    _remove(partial)
    partial.mkdir(parents=True)
    return partial


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(scenario: Scenario, folder: Path, compress: bool, progress: Progress | None) -> int:
    """Every stream and reference; returns the telemetry rows."""
    rows = _write_telemetry(scenario, folder / "telemetry", compress, progress)
    suffix = ".jsonl.gz" if compress else ".jsonl"
    for name, frame in (("oracle_readings", scenario.oracle_readings), ("subscriptions", scenario.subscriptions)):
        (folder / name).mkdir()
        with _open(folder / name / f"part-00000{suffix}") as file:
            file.write(_json_lines(frame))
    (folder / "reference").mkdir()
    scenario.cell_towers.write_csv(folder / "reference" / "cell_towers.csv")
    scenario.access_points.write_csv(folder / "reference" / "access_points.csv")
    scenario.labels.write_csv(folder / LABELS)
    return rows


def _write_telemetry(scenario: Scenario, folder: Path, compress: bool, progress: Progress | None) -> int:
    """Files of BLOCKS_PER_FILE blocks; blocks are made side by side and written in their order."""
    folder.mkdir()
    rows = 0
    file: BinaryIO | gzip.GzipFile | None = None
    try:
        for number, (height, content) in enumerate(_encoded_blocks(scenario)):
            if number % BLOCKS_PER_FILE == 0:
                if file is not None:
                    file.close()
                suffix = ".jsonl.gz" if compress else ".jsonl"
                file = _open(folder / f"part-{number // BLOCKS_PER_FILE:05d}{suffix}")
            assert file is not None
            file.write(content)
            rows += height
            if progress is not None:
                progress("simulating telemetry", (number + 1) / scenario.blocks)
    finally:
        if file is not None:
            file.close()
    return rows


def _encoded_blocks(scenario: Scenario) -> Iterator[tuple[int, bytes]]:
    """Rows and JSON Lines of each block, THREADS ahead at most, so that memory stays that of a few blocks."""

    def encode(number: int) -> tuple[int, bytes]:
        frame = next(scenario.telemetry(number, number + 1))
        frame = _with_resent(frame, rng_of(scenario.seed, 3, number))
        return frame.height, _json_lines(frame)

    with ThreadPoolExecutor(THREADS) as pool:
        ahead = [pool.submit(encode, number) for number in range(min(THREADS, scenario.blocks))]
        for number in range(scenario.blocks):
            done = ahead.pop(0).result()
            if number + THREADS < scenario.blocks:
                ahead.append(pool.submit(encode, number + THREADS))
            yield done


def _with_resent(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The block with some reports a second time, at its end."""
    return pl.concat([frame, frame[np.flatnonzero(rng.random(frame.height) < RESENT)]])


def _json_lines(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_ndjson(buffer)
    return buffer.getvalue()


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    if path.suffix == ".gz":
        return gzip.GzipFile(path, "wb", compresslevel=4, mtime=0)  # no time in the header: equal bytes
    return open(path, "wb")
