"""Reads `reference/providers.csv`, the register of providers: the quality of each provider by metric.

What the text leaves open: docs/interpretations.md#providers.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from monsoon.sources.csv_tables import Layout, read_table
from monsoon.sources.files import InputError
from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.provider_register import EVERY_METRIC, QUALITIES, ProviderRegister, Quality

PROVIDERS_FILE = "providers.csv"
_MEND = "Write the columns provider, metric, quality, or leave the file out: then what readings state counts."
_LAYOUT = Layout(
    required=("provider", "metric", "quality"),
    published=("provider", "metric", "quality"),
    texts=("provider", "metric", "quality"),
    mend=_MEND,
)
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


def read_provider_register(folder: Path) -> tuple[ProviderRegister | None, tuple[str, ...]]:
    """The register in a folder of reference files (None: there is none), and in words the rows that are not as they
    should be.

    A row that names no provider, or no metric, is skipped. One whose quality is none counts as fallback, the lowest: a
    typing error releases no money. Raises InputError for a file that is no CSV, is empty or lacks the columns.
    """
    path = folder / PROVIDERS_FILE
    there = [each for each in (path, path.with_name(f"{path.name}.gz")) if os.path.lexists(each)]
    if not there:
        return None, ()
    table = read_table(path, _LAYOUT)
    if not table.height and there[0].stat().st_size == 0:
        raise InputError("is empty, and would make every provider fallback", str(there[0]), _MEND)
    rows: list[tuple[str, str, Quality]] = []
    faults: list[str] = []
    for line, provider, metric, stated in table.select("line", *_LAYOUT.required).rows():
        quality = next((each for each in QUALITIES if each == stated), None)
        if provider is None or not _PROVIDER.fullmatch(provider):
            faults.append(f"line {line}: no provider ({provider})")
        elif metric != EVERY_METRIC and metric not in METRICS:
            faults.append(f"line {line}: no metric of the contract, nor {EVERY_METRIC} ({metric})")
        else:
            rows.append((provider, metric, quality or QUALITIES[-1]))
            if quality is None:
                faults.append(f"line {line}: none of {', '.join(QUALITIES)}, taken as {QUALITIES[-1]} ({stated})")
    return ProviderRegister(rows), tuple(faults)
