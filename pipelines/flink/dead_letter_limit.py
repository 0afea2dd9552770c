"""Stops a running job that refuses more records than allowed, by the accounts that it commits."""

from __future__ import annotations

from pathlib import Path

from monsoon.pipelines.runtime.messages import STATISTICS, unpack_result
from monsoon.sources.files import InputError
from monsoon.transforms.validation.input_checks import InputStatistics, RefusalLimit, RefusalWindows

_MEND = (
    "Mend what feeds it; the same command with --resume goes on behind what was read, with --max-refused-share 1 "
    "whatever is refused. dead_letters/ has every refused line so far"
)


class DeadLetterLimit:
    """Checks, at each call, the accounts that were committed since the last one; files that existed at the beginning
    belong to an earlier run."""

    def __init__(self, accounts: Path, limit: RefusalLimit | None, input_dir: Path) -> None:
        self._accounts, self._input_dir = accounts, input_dir
        self._windows = None if limit is None else RefusalWindows(limit)
        self._seen = set(self._parts())

    def __call__(self) -> None:
        """Raises InputError where too much of a stream was refused."""
        if self._windows is None:
            return
        for part in sorted(set(self._parts()) - self._seen):
            self._seen.add(part)
            for line in part.read_bytes().splitlines():
                kind, _, payload = line.partition(b" ")
                if kind.decode() == STATISTICS:
                    stream, statistics = unpack_result(payload, tuple[str, InputStatistics])
                    fault = self._windows.fault(stream, statistics)
                    if fault is not None:
                        raise InputError(f"{fault}. The job was stopped", str(self._input_dir / stream), _MEND)

    def _parts(self) -> list[Path]:
        return list(self._accounts.glob("part*.jsonl"))
