"""A simulated storm as files: the input folder of `monsoon replay`, and the truth beside it.

Whatever generator made it: `Simulation` is what it has to have.

Interpretations of the specification: docs/interpretations.md#records-and-folders.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.files import InputError
from monsoon.sources.simulator.arrival import arrived_again_ms
from monsoon.sources.simulator.frames import DEFAULT_ATTACKERS, build_scenario
from monsoon.sources.simulator.losses import LOSS_COLUMNS, Block, ShiftHours, with_losses
from monsoon.sources.simulator.population import EARLIER_LABEL_COLUMNS, LABEL_COLUMNS, rng_of
from monsoon.sources.simulator.storm import Storm

BLOCKS_PER_FILE = 8
THREADS = 2
RESENT = 0.001
"""Share of reports that the phone sends again, word for word, because no answer came."""
LABELS = "labels.csv"
_PARTIAL = ".monsoon-simulation"
_FILES = {
    "telemetry": re.compile(r"part-\d{5,}\.jsonl(\.gz)?"),
    "oracle_readings": re.compile(r"part-00000\.jsonl(\.gz)?"),
    "subscriptions": re.compile(r"part-00000\.jsonl(\.gz)?"),
    "reserves": re.compile(r"part-00000\.jsonl(\.gz)?"),
    "confirmations": re.compile(r"part-00000\.jsonl"),
    "reference": re.compile(r"(cell_towers|access_points|providers)\.csv"),
}
"""The folders of a simulation and the files that are written to them; answers are added after a first replay."""
_ENTRIES = (LABELS, *_FILES)
_MEND = "Give --output a new or empty folder."

Progress = Callable[[str, float | None], None]
"""Called with the stage and the share of it that is done."""


class Simulation(Protocol):
    """The streams and references of a simulation, in the columns of the contracts; telemetry comes by blocks, and with
    it the hours that riders lose, which `labels` do not have."""

    @property
    def seed(self) -> int: ...
    @property
    def blocks(self) -> int: ...
    @property
    def oracle_readings(self) -> pl.DataFrame: ...
    @property
    def subscriptions(self) -> pl.DataFrame: ...
    @property
    def reserves(self) -> pl.DataFrame: ...
    @property
    def labels(self) -> pl.DataFrame: ...
    @property
    def daily_wage_inr(self) -> NDArray[np.float64]: ...
    @property
    def cell_towers(self) -> pl.DataFrame: ...
    @property
    def access_points(self) -> pl.DataFrame: ...
    @property
    def providers(self) -> pl.DataFrame: ...
    def played(self, first: int = 0, last: int | None = None) -> Iterator[Block]: ...


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
    """Writes telemetry/, oracle_readings/, subscriptions/, reference/ and labels.csv to `output`, and reserves/ and
    reference/providers.csv where the storm has some.

    The same arguments give the same bytes; memory does not grow with `riders` beyond a few hundred bytes each. An
    earlier simulation in `output` is replaced once the new one is whole, and is put back if that fails. Raises
    InputError if `output` holds anything else (real streams, which have no labels, are something else), OSError if it
    cannot be written, ValueError and StormError as `build_scenario`.
    """
    return write_simulation(
        lambda: build_scenario(storm, riders, seed, attackers=attackers, gridded_only=gridded_only),
        output,
        compress=compress,
        progress=progress,
    )


def write_simulation(
    build: Callable[[], Simulation], output: Path, *, compress: bool = False, progress: Progress | None = None
) -> SimulationSummary:
    """Writes what `build` makes, which is called once `output` is known to be fit for it; raises as `simulate`."""
    refuse_what_was_not_simulated(output)
    scenario = build()
    place = _Place(output)
    try:
        rows = _write(scenario, place.partial, compress, progress)
        place.replace()
    finally:
        place.clear()
    return SimulationSummary(
        riders=scenario.labels.height,
        attackers=int((scenario.labels["kind"] != "honest").sum()),
        rings=scenario.labels["ring"].drop_nulls().n_unique(),
        telemetry_rows=rows,
        readings=scenario.oracle_readings.height,
        subscription_events=scenario.subscriptions.height,
    )


class _Place:
    """A new folder `partial` inside `output`, which must be new, empty or an earlier simulation, and how it takes that
    one's place.

    The labels are moved away first and put in place last, so a folder that has them is whole. What a killed run was
    about to replace is put back first.
    """

    def __init__(self, output: Path) -> None:
        self._output = output
        self.partial = output / _PARTIAL
        self._earlier = self.partial / "earlier"
        refuse_what_was_not_simulated(output)
        if self._halfway():
            self._put_back()
        self.clear()
        self.partial.mkdir(parents=True)

    def replace(self) -> None:
        """Moves an earlier simulation aside and the new one in. Whatever fails, the earlier one is put back."""
        self._earlier.mkdir()
        try:
            for name in _ENTRIES:
                if (self._output / name).exists():
                    os.rename(self._output / name, self._earlier / name)
            for name in reversed(_ENTRIES):
                if (self.partial / name).exists():
                    os.rename(self.partial / name, self._output / name)
        except BaseException:
            self._put_back()
            raise

    def clear(self) -> None:
        """Removes `partial`, unless it holds what could not be put back."""
        if self.partial.exists() and not self._halfway():
            shutil.rmtree(self.partial, ignore_errors=True)

    def _halfway(self) -> bool:
        return _halfway(self._output)

    def _put_back(self) -> None:
        """Undoes the moves of `replace`, wherever they stopped; doing this again does no harm.

        While the first that is put in place is still in `partial`, nothing has been; then what is no longer there has.
        """
        try:
            begun = not (self.partial / _ENTRIES[-1]).exists()
            for name in _ENTRIES if begun else ():
                if (self._output / name).exists() and not (self.partial / name).exists():
                    os.rename(self._output / name, self.partial / name)
            for name in reversed(_ENTRIES):
                if (self._earlier / name).exists():
                    os.rename(self._earlier / name, self._output / name)
            self._earlier.rmdir()
        except OSError as error:
            raise InputError(
                f"the earlier simulation could not be put back ({error.strerror or error}); it is in {self._earlier}",
                str(self._output),
                "Simulating to here again puts it back first.",
            ) from error


def _halfway(output: Path) -> bool:
    """Whether a simulation was killed while it took the place of an earlier one."""
    return (output / _PARTIAL / "earlier").exists() and (output / _PARTIAL / LABELS).exists()


def refuse_what_was_not_simulated(output: Path) -> None:
    """Raises InputError unless all that `output` holds can have been written by a simulation.

    A real input has the same folders, and maybe the same files: the labels, with their columns, distinguish it. Where
    one was killed half-way they may be on their way.
    """
    if output.is_symlink() and not output.exists():
        raise InputError(f"is a symbolic link to {os.readlink(output)}, which is not there", str(output), _MEND)
    if not output.exists():
        return
    if not output.is_dir():
        raise InputError("is a file", str(output), _MEND)
    entries = sorted(entry for entry in output.iterdir() if entry.name != _PARTIAL)
    foreign = next(filter(None, map(_foreign, entries)), None)
    if entries and not foreign and not _halfway(output) and not _are_labels(output / LABELS):
        foreign = f"{entries[-1].name} without the {LABELS} of one"
    if foreign:
        raise InputError(f"holds something that is not a simulation ({foreign})", str(output), _MEND)


def _foreign(entry: Path) -> str | None:
    """What at this entry of the output was not written by a simulation."""
    if entry.name not in _ENTRIES:
        return entry.name
    if entry.is_symlink():
        return f"{entry.name}, a symbolic link"
    if entry.is_dir() == (entry.name == LABELS):
        return f"{entry.name}, a {'folder' if entry.is_dir() else 'file'}"
    if entry.name in _FILES:
        for file in sorted(entry.iterdir()):
            if file.is_symlink() or not file.is_file() or not _FILES[entry.name].fullmatch(file.name):
                return f"{entry.name}/{file.name}"
    return None


def _are_labels(path: Path) -> bool:
    if not path.exists():
        return False
    heads = [
        (",".join(columns) + "\n").encode() for columns in ((*LABEL_COLUMNS, *LOSS_COLUMNS), *EARLIER_LABEL_COLUMNS)
    ]
    with open(path, "rb") as file:
        return file.readline(len(heads[0])) in heads


def _write(scenario: Simulation, folder: Path, compress: bool, progress: Progress | None) -> int:
    """Every stream and reference; returns the telemetry rows."""
    rows, hours = _write_telemetry(scenario, folder / "telemetry", compress, progress)
    suffix = ".jsonl.gz" if compress else ".jsonl"
    for name in ("oracle_readings", "subscriptions", "reserves"):
        frame: pl.DataFrame = getattr(scenario, name)
        if name == "reserves" and frame.is_empty():
            continue
        (folder / name).mkdir()
        with _open(folder / name / f"part-00000{suffix}") as file:
            file.write(_json_lines(frame))
    (folder / "reference").mkdir()
    scenario.cell_towers.write_csv(folder / "reference" / "cell_towers.csv")
    scenario.access_points.write_csv(folder / "reference" / "access_points.csv")
    if not scenario.providers.is_empty():
        scenario.providers.write_csv(folder / "reference" / "providers.csv")
    with_losses(scenario.labels, hours, scenario.daily_wage_inr).write_csv(folder / LABELS)
    return rows


def _write_telemetry(
    scenario: Simulation, folder: Path, compress: bool, progress: Progress | None
) -> tuple[int, list[ShiftHours]]:
    """Files of BLOCKS_PER_FILE blocks; blocks are made side by side and written in their order. Returns the rows, and
    what the riders of each block lose."""
    folder.mkdir()
    rows, lost = 0, []
    file: BinaryIO | gzip.GzipFile | None = None
    try:
        for number, (height, content, hours) in enumerate(_encoded_blocks(scenario)):
            if number % BLOCKS_PER_FILE == 0:
                if file is not None:
                    file.close()
                suffix = ".jsonl.gz" if compress else ".jsonl"
                file = _open(folder / f"part-{number // BLOCKS_PER_FILE:05d}{suffix}")
            assert file is not None
            file.write(content)
            rows += height
            lost.append(hours)
            if progress is not None:
                progress("simulating telemetry", (number + 1) / scenario.blocks)
    finally:
        if file is not None:
            file.close()
    return rows, lost


def _encoded_blocks(scenario: Simulation) -> Iterator[tuple[int, bytes, ShiftHours]]:
    """Rows, JSON Lines and hours of each block, THREADS ahead at most, so that memory stays that of a few blocks."""

    def encode(number: int) -> tuple[int, bytes, ShiftHours]:
        block = next(scenario.played(number, number + 1))
        frame = _with_resent(block.telemetry, rng_of(scenario.seed, 3, number))
        return frame.height, _json_lines(frame), block.hours

    with ThreadPoolExecutor(THREADS) as pool:
        ahead = [pool.submit(encode, number) for number in range(min(THREADS, scenario.blocks))]
        for number in range(scenario.blocks):
            done = ahead.pop(0).result()
            if number + THREADS < scenario.blocks:
                ahead.append(pool.submit(encode, number + THREADS))
            yield done


def _with_resent(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The block with some reports a second time, at its end; the gateway received those later."""
    again = frame[np.flatnonzero(rng.random(frame.height) < RESENT)]
    if "received_time" in frame.columns:
        again = again.with_columns(pl.Series("received_time", arrived_again_ms(rng, again["received_time"].to_numpy())))
    return pl.concat([frame, again])


def _json_lines(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_ndjson(buffer)
    return buffer.getvalue()


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    if path.suffix == ".gz":
        return gzip.GzipFile(path, "wb", compresslevel=4, mtime=0)  # no time in the header: equal bytes
    return open(path, "wb")
