"""When claims take part in the ring graph: they are opened, and withdrawn with their disruption."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from msgspec import Struct

from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import DisruptionUpdate
from monsoon.transforms.adjudication.eligibility import ineligibility_reason
from monsoon.transforms.identifiers import claim_id
from monsoon.transforms.product import Product
from monsoon.transforms.rings.surroundings import parents_of
from monsoon.transforms.triggers.series import Series


class Opening(Struct, frozen=True, gc=False, array_like=True):
    """A claim is opened at a moment (`at_ms`), or, where `opens` is false, withdrawn. One that `pays` nothing,
    by plan or lockout, is in no ring, but counts on its payout account.

    `device`, `payout_account`, `purchased_at_ms` (the event that activated the policy) and `squad` are the policy's;
    `zone` is an H3 cell.
    """

    at_ms: int
    claim_id: str
    worker_id: str
    trigger: str
    zone: str
    confirmed_at_ms: int
    device: str | None = None
    payout_account: str | None = None
    purchased_at_ms: int | None = None
    squad: str | None = None
    opens: bool = True
    pays: bool = True


def openings_of(product: Product, disruption: Disruption, after_ms: int = -1) -> Iterator[Opening]:
    """What happens to the claims on a disruption after a moment, rider by rider in the order of time."""
    for updates in disruption.updates.values():
        yield from (each for each in _of_rider(product, updates) if each.at_ms > after_ms)


def places_of(series: Iterable[Series], after_ms: int) -> set[tuple[str, int, int]]:
    """Where and when claims may be opened after a moment: trigger, cell of resolution 5, moment (ms)."""
    found: set[tuple[str, int, int]] = set()
    for each in series:
        moments_ms = {revision.at_ms for revision in each.revisions if revision.at_ms > after_ms}
        if moments_ms:
            cells = np.unique(parents_of(np.asarray(each.zones, dtype=np.uint64))).tolist()
            found |= {(each.trigger.name, cell, at_ms) for cell in cells for at_ms in moments_ms}
    return found


def _of_rider(product: Product, updates: Sequence[DisruptionUpdate]) -> Iterator[Opening]:
    opened: Opening | None = None
    for update in updates:
        now = _opening(product, update)
        if opened is not None and (now is None or (now.claim_id, now.pays) != (opened.claim_id, opened.pays)):
            yield Opening(
                update.at_ms,
                opened.claim_id,
                opened.worker_id,
                opened.trigger,
                opened.zone,
                opened.confirmed_at_ms,
                opens=False,
            )
            opened = None
        if opened is None and now is not None:
            yield now
            opened = now


def _opening(product: Product, update: DisruptionUpdate) -> Opening | None:
    """The opening of a claim by an update; None where that opens none."""
    terms = update.terms
    if terms is None or update.withdrawn:
        return None
    return Opening(
        update.at_ms,
        claim_id(terms.policy_id, update.disruption_id),
        terms.worker_id,
        update.trigger,
        update.zone,
        update.confirmed_at_ms,
        terms.device_id,
        terms.payout_account,
        terms.activated_at_ms,
        terms.squad_id,
        pays=ineligibility_reason(product.at(update.start_ms), update, terms) is None,
    )
