"""The machines of one product, one for every rider with claims in motion. The claims of a rider whose claims are all
settled are in cold state, and the machine is made anew from them when an input for the rider arrives."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping

from monsoon.pipelines.runtime.keyed_operator import StateWriter, entries_of
from monsoon.pipelines.runtime.messages import unpack
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small
from monsoon.pipelines.runtime.time_partitioned_buffer import HOUR_MS
from monsoon.transforms.adjudication.claims import Claim
from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.adjudication.verification import Scorer
from monsoon.transforms.product import Product

SETTLED_MS = 6 * HOUR_MS
"""So long after the end and the last update of their disruptions the claims of a rider go cold, if none waits."""


class RiderMachines:
    """The claims of some riders on one product; `scorer` as of `RiderMachine`."""

    def __init__(self, product: Product, model_version: str, scorer: Scorer, state: StateWriter) -> None:
        self._product, self._model_version, self._scorer, self._state = product, model_version, scorer, state
        self._machines: dict[str, RiderMachine] = {}
        """By rider, with all claims: those of cold state, too."""
        self._restored: dict[str, list[Claim]] = {}
        """By rider without a machine as yet: the claims that were not cold when the operator was restored."""
        self._cold: dict[str, dict[str, int]] = {}
        """By rider: the claims in cold state, and the moment (ms) at which each was settled (`Claim.last_ms`)."""
        self._timers: list[tuple[int, str]] = []
        """A heap of (moment (ms), worker_id): when holds and step-ups run out."""

    def __bool__(self) -> bool:
        return bool(self._machines or self._restored or self._cold)

    def machine(self, worker: str) -> RiderMachine:
        """The rider's machine, with all claims; a new one if there are none."""
        if worker not in self._machines:
            entries = [self._entry(worker, claim) for claim in sorted(self._cold.get(worker, ()))]
            cold = [unpack_small(self._state.read_cold(entry), Claim) for entry in entries]
            machine = RiderMachine(self._product, self._model_version, self._scorer)
            machine.resume([*cold, *self._restored.pop(worker, ())])
            self._machines[worker] = machine
        return self._machines[worker]

    def save(self, worker: str) -> None:
        """Writes the rider's claims that changed, and sets a timer for when the machine has to run next."""
        machine = self._machines[worker]
        changed = machine.take_changed()
        for claim in changed:
            if self._state.durable:
                self._state.put(self._entry(worker, claim.claim_id), pack_small(claim))
        self._drop_cold(worker, [claim.claim_id for claim in changed])
        self._set_timer(worker, machine.next_due_ms)
        if not machine.claims:
            del self._machines[worker]

    @property
    def next_due_ms(self) -> int | None:
        """When a machine may have to run next (ms); None: none waits."""
        return self._timers[0][0] if self._timers else None

    def take_due(self, upto_ms: int) -> set[str]:
        """Removes the timers up to a moment; gives their riders."""
        due = set()
        while self._timers and self._timers[0][0] <= upto_ms:
            worker = heapq.heappop(self._timers)[1]
            if worker in self._machines or worker in self._restored:
                due.add(worker)
        return due

    def settle(self, upto_ms: int) -> None:
        """Puts the claims of riders whose claims are all settled into cold state."""
        for worker in [*self._machines, *self._restored]:
            claims = self._hot(worker)
            if all(claim.is_over(upto_ms - SETTLED_MS) for claim in claims):
                cold = self._cold.setdefault(worker, {})
                for claim in claims:
                    entry = self._entry(worker, claim.claim_id)
                    self._state.put_cold(entry, pack_small(claim))
                    self._state.drop(entry)
                    cold[claim.claim_id] = claim.last_ms
                if claims:
                    self._save_cold(worker)
                self._machines.pop(worker, None)
                self._restored.pop(worker, None)

    def expire(self, before_ms: int) -> set[str]:
        """Drops claims as `RiderMachine.expire` does, and gives their claim_ids. Cold ones are read only where a rider
        has younger claims, on which it depends whether they are dropped."""
        dropped: set[str] = set()
        for worker in sorted(self._machines.keys() | self._restored.keys() | self._cold.keys()):
            hot, cold = self._hot(worker), self._cold.get(worker, {})
            over = [claim.is_over(before_ms) for claim in hot] + [last_ms < before_ms for last_ms in cold.values()]
            if not any(over):
                continue
            if all(over):
                gone = {*cold, *(claim.claim_id for claim in hot)}
                self._machines.pop(worker, None)
                self._restored.pop(worker, None)
            else:
                gone = self.machine(worker).expire(before_ms)
            for claim in sorted(gone - cold.keys()):
                self._state.drop(self._entry(worker, claim))
            self._drop_cold(worker, gone)
            dropped |= gone
        return dropped

    def restore_claim(self, worker: str, claim: Claim) -> None:
        """Adds a claim from its state entry."""
        self._restored.setdefault(worker, []).append(claim)
        self._set_timer(worker, claim.due_ms)

    def restore_cold(self, worker: str, settled_ms: dict[str, int]) -> None:
        """Adds the rider's claims in cold state, which are not read: when each was settled (ms), by claim_id."""
        self._cold[worker] = settled_ms

    def _hot(self, worker: str) -> list[Claim]:
        """The rider's claims that are not in cold state."""
        if worker not in self._machines:
            return self._restored.get(worker, [])
        cold = self._cold.get(worker, {})
        return [claim for claim in self._machines[worker].claims if claim.claim_id not in cold]

    def _drop_cold(self, worker: str, claims: Collection[str]) -> None:
        """Removes claims from cold state, those of them that are there."""
        cold = self._cold.get(worker, {})
        gone = sorted(cold.keys() & set(claims))
        for claim in gone:
            self._state.drop_cold(self._entry(worker, claim))
            del cold[claim]
        if gone:
            self._save_cold(worker)

    def _save_cold(self, worker: str) -> None:
        name, cold = f"settled/{worker}/{self._product.name}", self._cold[worker]
        if cold:
            self._state.put_packed(name, dict(sorted(cold.items())))
        else:
            self._state.drop(name)
            del self._cold[worker]

    def _set_timer(self, worker: str, due_ms: int | None) -> None:
        if due_ms is not None:
            heapq.heappush(self._timers, (due_ms, worker))

    def _entry(self, worker: str, claim: str) -> str:
        """The name of a claim's state entry, hot or cold."""
        return f"claim/{self._product.name}/{worker}/{claim}"


def restore_machines(machines: Mapping[str, RiderMachines], entries: Mapping[str, bytes]) -> None:
    """Restores the machines of some products (by name) from state entries. Raises KeyError for another product."""
    for name, payload in entries_of(entries, "claim"):
        product, _, rest = name.removeprefix("claim/").partition("/")
        machines[product].restore_claim(rest.rpartition("/")[0], unpack_small(payload, Claim))
    for name, payload in entries_of(entries, "settled"):
        worker, _, product = name.removeprefix("settled/").rpartition("/")
        machines[product].restore_cold(worker, unpack(payload, dict[str, int]))
