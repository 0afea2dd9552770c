"""Updates of disruptions on their way to the claims of riders: what a revision says to all its riders stands once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from monsoon.pipelines.runtime.messages import unpack
from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import DisruptionUpdate, PolicyTerms


class DisruptionUpdates(Struct):
    """The updates of one disruption for some riders."""

    updates: list[DisruptionUpdate]
    """Without terms."""
    riders: list[tuple[str, list[tuple[PolicyTerms | None, list[int]]]]]
    """By worker_id: terms, each with the indices of the updates that come with them."""


def updates_after(disruptions: Iterable[Disruption], after_ms: int) -> list[DisruptionUpdates]:
    """The updates of disruptions that are later than a moment."""
    return [found for found in (_updates_after(each, after_ms) for each in disruptions) if found.riders]


def _updates_after(disruption: Disruption, after_ms: int) -> DisruptionUpdates:
    # Every rider has as many updates, in the order of the revisions.
    some = next(iter(disruption.updates.values()), [])
    later = [index for index, update in enumerate(some) if update.at_ms > after_ms]
    riders = []
    for worker, updates in disruption.updates.items() if later else ():
        groups: list[tuple[PolicyTerms | None, list[int]]] = []
        for number, index in enumerate(later):
            terms = updates[index].terms
            if groups and groups[-1][0] == terms:
                groups[-1][1].append(number)
            else:
                groups.append((terms, [number]))
        riders.append((worker, groups))
    return DisruptionUpdates([replace(some[index], terms=None) for index in later], riders)


def unpack_updates(payload: bytes) -> Iterator[tuple[str, list[DisruptionUpdate]]]:
    """The updates of a message, by worker_id; messages of earlier versions have each rider's whole."""
    for found in unpack(payload, list[tuple[str, list[DisruptionUpdate]] | DisruptionUpdates]):
        if isinstance(found, tuple):
            yield found
            continue
        for worker, groups in found.riders:
            yield (
                worker,
                [replace(found.updates[number], terms=terms) for terms, numbers in groups for number in numbers],
            )
