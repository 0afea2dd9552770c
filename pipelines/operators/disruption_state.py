"""The state entry of a disruption for a bucket of riders: its revisions, and once the terms of each rider concerned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import h3.api.basic_int as h3
import numpy as np

from monsoon.pipelines.runtime.messages import unpack
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small
from monsoon.transforms.adjudication.candidates import Disruption, disruption_of
from monsoon.transforms.adjudication.claims import DisruptionUpdate, PolicyTerms
from monsoon.transforms.product import Product, Trigger
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.series import Series

_DisruptionEntry = tuple[str, str | None, str, tuple[Revision, ...], list[tuple[PolicyTerms, list[int]]]]
"""The trigger by its name in `JobConfig.triggers`, platform, zone, revisions; and terms, each with the confirmations
(ms) under which its rider is a candidate. What a revision says to a rider follows from these."""

_EntryVersion1 = tuple[str, str | None, str, tuple[Revision, ...], dict[str, list[DisruptionUpdate]]]
"""The entry in version 1 of the state."""


def pack_disruption(trigger: str, disruption: Disruption) -> bytes:
    """The entry of a disruption; `trigger` by its name in `JobConfig.triggers`."""
    confirmed: dict[PolicyTerms, list[int]] = defaultdict(list)
    for confirmed_ms, present in sorted(disruption.present().items()):
        for terms in present.values():
            confirmed[terms].append(confirmed_ms)
    entry: _DisruptionEntry = (
        trigger,
        disruption.series.platform,
        disruption.zone,
        disruption.revisions,
        [*confirmed.items()],
    )
    return pack_small(entry)


def unpack_disruption(identity: str, payload: bytes, triggers: Mapping[str, tuple[Product, Trigger]]) -> Disruption:
    """The disruption of an entry. Raises ValueError, and LookupError for a trigger that does not run."""
    trigger, platform, zone, revisions, confirmed = unpack_small(payload, _DisruptionEntry)
    cells = np.array([h3.str_to_int(zone)], dtype=np.uint64)
    present: dict[int, dict[str, PolicyTerms]] = {revision.event.confirmed_at_ms: {} for revision in revisions}
    for terms, moments_ms in confirmed:
        for confirmed_ms in moments_ms:
            present[confirmed_ms][terms.worker_id] = terms
    series = Series(triggers[trigger][1], platform, cells, revisions)
    return disruption_of(identity, zone, series, revisions, present)


def from_version_1(payload: bytes) -> bytes:
    """Converts an entry of version 1."""
    trigger, platform, zone, revisions, updates = unpack(payload, _EntryVersion1)
    confirmed: dict[PolicyTerms, list[int]] = defaultdict(list)
    for worker_updates in updates.values():
        for update in worker_updates:
            if update.terms is not None and update.confirmed_at_ms not in confirmed[update.terms]:
                confirmed[update.terms].append(update.confirmed_at_ms)
    entry: _DisruptionEntry = (trigger, platform, zone, revisions, [*confirmed.items()])
    return pack_small(entry)
