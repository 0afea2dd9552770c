"""Drift reports: a record for each local day and cell with claims, and one for each day over all cells.

Within a report a rider's evidence counts once, with his first claim that has any: his claims on several products rest
on the same reports, and would make chance look like drift.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from monsoon.transforms.drift.claims import DriftClaims
from monsoon.transforms.drift.reference import DriftReference, FeatureReference
from monsoon.transforms.drift.statistics import (
    ALARM_P,
    bin_counts,
    excess_of_small_p,
    is_beyond_chance,
    p_values_of,
    psi,
)
from monsoon.transforms.identifiers import drift_report_id
from monsoon.transforms.scoring import Scorer

MIN_RIDERS = 20
"""Fewer are not compared."""
ALERT_PSI = 0.1
"""Customarily the least PSI that is a shift at all."""
ALERT_NULL_FACTOR = 2.0
"""An alert needs a PSI of so many times the null's 99th percentile, and a bin with more values than chance brings
about: of a dozen features one is beyond the percentile by chance in every eighth report."""
ALERT_MISSING_ABOVE = 0.1
"""A sensor group may be missing in a share of claims so much larger than in training."""
ALERT_HOLD_FACTOR = 2.0
"""A slice's hold rate may be so many times the mean's (fraud.md, Evaluation)."""
_DECIMALS = 6

Record = dict[str, Any]
Indices = npt.NDArray[np.int64]


def drift_reports(claims: DriftClaims, reference: DriftReference, scorer: Scorer) -> list[Record]:
    """The reports (contracts/drift_report.schema.json) by day, the one over all cells first; none without claims."""
    if not len(claims):
        return []
    scores = scorer.score(claims.features)
    report = _Reporter(claims, reference, scorer, p_values_of(scores.risk), scores.mask)
    records = []
    for day in np.unique(claims.days):
        of_day = np.flatnonzero(claims.days == day)
        records.append(report.of(of_day, str(day), None))
        cells = claims.cells[of_day]
        records += (report.of(of_day[cells == cell], str(day), str(cell)) for cell in np.unique(cells))
    return records


class _Reporter:
    def __init__(
        self,
        claims: DriftClaims,
        reference: DriftReference,
        scorer: Scorer,
        p_values: npt.NDArray[np.float64],
        masks: npt.NDArray[np.uint16],
    ) -> None:
        self._claims, self._reference, self._scorer, self._p_values = claims, reference, scorer, p_values
        self._missing = {group: (masks >> bit & 1) == 0 for bit, group in enumerate(scorer.groups)}
        words = {mask: _measured_groups(scorer.groups, mask) for mask in np.unique(masks).tolist()}
        self._sensor_masks = np.array([words[mask] for mask in masks.tolist()], dtype=np.str_)

    def of(self, rows: Indices, day: str, cell: str | None) -> Record:
        """The report of these claims."""
        claims = self._claims
        evident = _first_of_each(claims.workers, rows[claims.evident[rows]])
        features = [self._feature(each, evident) for each in self._reference.features]
        groups = [self._group(each.name, each.missing_share, evident) for each in self._reference.groups]
        p_values = self._uniformity(evident)
        honest = rows[claims.honest[rows]]
        held = int(np.count_nonzero(claims.held[honest]))
        hold_rate = held / len(honest) if len(honest) else 0.0
        slices = list(self._slices(honest, hold_rate, with_cells=cell is None))
        return {
            "report_id": drift_report_id(self._scorer.version, day, cell),
            "day": day,
            "cell": cell,
            "model_version": self._scorer.version,
            "claims": len(rows),
            "riders": len(np.unique(claims.workers[rows])),
            "riders_with_evidence": len(evident),
            "features": features,
            "groups": groups,
            "p_values": p_values,
            "honest_looking_claims": len(honest),
            "held_claims": held,
            "hold_rate": round(hold_rate, _DECIMALS),
            "slices": slices,
            "alerts": list(_alerts(features, groups, p_values, slices, len(evident), hold_rate)),
        }

    def _feature(self, reference: FeatureReference, rows: Indices) -> Record:
        values = self._claims.features[reference.name][rows]
        values = values[~np.isnan(values)]
        record: Record = {"name": reference.name, "measured": len(values), "psi": None, "null_psi": None}
        place = bisect_right(self._reference.counts, len(values)) - 1
        if place < 0:
            return record | {"drifted": False, "shifted": False}
        # Of a count between two of the null's: that of the smaller one, which is larger.
        null = reference.null_psi[place]
        counts = bin_counts(values, reference.edges)
        found = round(float(psi(counts, reference.shares)), _DECIMALS)
        # PSI of few values jumps: a second value in a rare bin may double it.
        shifted = any(map(is_beyond_chance, counts.tolist(), repeat(len(values)), reference.shares))
        large = found > max(ALERT_PSI, ALERT_NULL_FACTOR * null)
        return record | {"psi": found, "null_psi": null, "drifted": found > null, "shifted": shifted and large}

    def _group(self, name: str, training_share: float, rows: Indices) -> Record:
        missing = int(np.count_nonzero(self._missing[name][rows]))
        allowed = training_share + ALERT_MISSING_ABOVE
        above = len(rows) >= MIN_RIDERS and allowed < 1.0 and is_beyond_chance(missing, len(rows), allowed)
        share = round(missing / len(rows), _DECIMALS) if len(rows) else None
        return {
            "name": name,
            "missing": missing,
            "missing_share": share,
            "training_share": training_share,
            "above_training": above,
        }

    def _uniformity(self, rows: Indices) -> Record:
        p_values = self._p_values[rows]
        p_values = p_values[~np.isnan(p_values)]
        at = [each.p for each in self._reference.p_values]
        statistic, p_value = excess_of_small_p(p_values, at, [each.share for each in self._reference.p_values])
        too_small = len(p_values) >= MIN_RIDERS and p_value < ALARM_P
        return {"claims": len(p_values), "statistic": statistic, "p_value": p_value, "too_many_small": too_small}

    def _slices(self, honest: Indices, mean: float, with_cells: bool) -> Iterator[Record]:
        """The slices of honest-looking claims with enough riders."""
        claims = self._claims
        dimensions = {**claims.slices, "sensor_mask": self._sensor_masks}
        if with_cells:
            dimensions["cell"] = claims.cells
        for dimension, values in dimensions.items():
            of_slice = values[honest]
            for value in np.unique(of_slice):
                yield from self._slice(dimension, str(value), honest[of_slice == value], mean)
        for group, missing in self._missing.items():
            yield from self._slice("missing_group", group, honest[missing[honest]], mean)

    def _slice(self, dimension: str, value: str, rows: Indices, mean: float) -> Iterator[Record]:
        riders = len(np.unique(self._claims.workers[rows]))
        if not value or riders < MIN_RIDERS:
            return
        held = int(np.count_nonzero(self._claims.held[rows]))
        rate, allowed = held / len(rows), ALERT_HOLD_FACTOR * mean
        # A rider's claims are held together: as many trials as riders, of which the same share is held.
        above = allowed < 1.0 and rate > allowed and is_beyond_chance(int(rate * riders), riders, allowed)
        yield {
            "dimension": dimension,
            "value": value,
            "claims": len(rows),
            "riders": riders,
            "held": held,
            "hold_rate": round(rate, _DECIMALS),
            "above_mean": above,
        }


def _alerts(
    features: list[Record], groups: list[Record], p_values: Record, slices: list[Record], evident: int, mean: float
) -> Iterator[Record]:
    """What somebody should look at: the kind, what it is about, what was found and what it may be at most."""
    for each in features:
        if each["shifted"]:
            allowed = max(ALERT_PSI, ALERT_NULL_FACTOR * each["null_psi"])
            yield _alert("psi", each["name"], each["psi"], allowed, each["measured"])
    for each in groups:
        if each["above_training"]:
            allowed = each["training_share"] + ALERT_MISSING_ABOVE
            yield _alert("missing", each["name"], each["missing_share"], allowed, evident)
    if p_values["too_many_small"]:
        yield _alert("p_values", "p_value", p_values["p_value"], ALARM_P, p_values["claims"])
    for each in slices:
        if each["above_mean"]:
            about = f"{each['dimension']}:{each['value']}"
            yield _alert("hold_rate", about, each["hold_rate"], ALERT_HOLD_FACTOR * mean, each["claims"])


def _alert(kind: str, about: str, value: float, limit: float, claims: int) -> Record:
    return {"kind": kind, "about": about, "value": value, "limit": round(limit, _DECIMALS), "claims": claims}


def _first_of_each(workers: npt.NDArray[np.str_], rows: Indices) -> Indices:
    """The first row of each rider, in order."""
    _, first = np.unique(workers[rows], return_index=True)
    return rows[np.sort(first)]


def _measured_groups(groups: tuple[str, ...], mask: int) -> str:
    return "+".join(group for bit, group in enumerate(groups) if mask >> bit & 1) or "none"
