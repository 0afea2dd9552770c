"""For how long riders have withdrawn their consent to the use of their location, from their policies' events.

Consent is the rider's, not the policy's: who withdraws it in one policy has withdrawn it, whatever others state. An
event without `consents` states nothing, so the contract stands, or what was withdrawn before. A withdrawal ends when a
later event of the same policy lists `location` again, or when a policy is activated that does: that is a new contract,
while a renewal of another policy only repeats what that one stated.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FOR_EVER_MS = 2**62
_LOCATION = "location"


class ConsentEvent(NamedTuple):
    """What one subscription event states on the rider's location; in the order in which they count, of one moment a
    withdrawal last."""

    event_time_ms: int
    withdraws: bool
    worker_id: str
    product: str
    policy_id: str
    is_new: bool
    """Whether the event activates the policy."""


def consent_events(events: Iterable[Mapping[str, Any]]) -> list[ConsentEvent]:
    """Those of valid subscription events that state consents, sorted, each once."""
    stated = {
        ConsentEvent(
            event["event_time"],
            _LOCATION not in event["consents"],
            event["worker_id"],
            event["product"],
            event["policy_id"],
            event["type"] == "activated",
        )
        for event in events
        if event.get("consents") is not None
    }
    return sorted(stated)


class Withdrawals:
    """The spans of event time, [from, until) in ms, in which riders' reports are no evidence."""

    def __init__(self, events: Iterable[ConsentEvent] = ()) -> None:
        withdrawn: dict[str, set[tuple[str, str]]] = defaultdict(set)
        bounds: dict[str, list[int]] = defaultdict(list)
        for event in sorted(set(events)):
            policies, policy = withdrawn[event.worker_id], (event.product, event.policy_id)
            was_withdrawn = bool(policies)
            if event.withdraws:
                policies.add(policy)
            elif event.is_new:
                policies.clear()
            else:
                policies.discard(policy)
            if bool(policies) != was_withdrawn:
                bounds[event.worker_id].append(event.event_time_ms)
        self._bounds = dict(bounds)
        """By rider: when the consent was withdrawn, given again, and so on (ms)."""

    def __bool__(self) -> bool:
        return bool(self._bounds)

    @property
    def workers(self) -> set[str]:
        """The riders who have ever withdrawn it."""
        return set(self._bounds)

    def is_withdrawn(self, worker_id: str, at_ms: int) -> bool:
        """Whether the rider's consent is withdrawn at a moment."""
        return bisect_right(self._bounds.get(worker_id, ()), at_ms) % 2 == 1

    def withheld(
        self, workers: Sequence[str], worker: npt.NDArray[Any], event_time_ms: npt.NDArray[Any]
    ) -> npt.NDArray[np.bool_]:
        """Which reports (bool) are no evidence; `worker` are codes of riders in `workers`."""
        found = np.zeros(len(worker), dtype=np.bool_)
        for code, name in enumerate(workers):
            if name in self._bounds:
                rows = np.flatnonzero(worker == code)
                found[rows] = np.searchsorted(self._bounds[name], event_time_ms[rows], side="right") % 2 == 1
        return found
