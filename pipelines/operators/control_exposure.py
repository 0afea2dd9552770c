"""Payouts against the reserves of their product, day and cell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import RESULTS, Message, bucket_of, pack, results, unpack
from monsoon.transforms.decisions import payment_records
from monsoon.transforms.exposure import (
    AwardStatus,
    BucketState,
    Event,
    Instruction,
    PayoutTransition,
    Reserve,
    ReserveBook,
    ReserveBucket,
    within_reserves,
)

_InstructionsAndStandings = tuple[list[Instruction], list[AwardStatus]]


def to_reserve_buckets(
    instructions: Iterable[Instruction], standings: Iterable[AwardStatus], buckets: int, due_ms: int
) -> Iterator[Message]:
    """Payout instructions and claim states, to the operator with the reserves that limit them."""
    by_key: dict[int, _InstructionsAndStandings] = defaultdict(lambda: ([], []))
    for instruction in instructions:
        by_key[bucket_of(instruction.pool.name, buckets)][0].append(instruction)
    for standing in standings:
        by_key[bucket_of(standing.pool.name, buckets)][1].append(standing)
    for key, members in by_key.items():
        yield Message("control-exposure", key, "awards", due_ms, pack(members))


class ControlExposure(KeyedOperator):
    """Payouts and reserves of some reserve buckets: payouts within the reserve pass, the rest is queued."""

    uid: ClassVar = "control-exposure"
    label: ClassVar = "payouts by reserve"
    to: ClassVar = (RESULTS,)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._books: dict[ReserveBucket, ReserveBook] = {}

    def process(self, message: Message) -> None:
        self._defer(f"arrived/{message.kind}", message, _events(message.kind, message.payload))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        events = [event for part in self._drop_due(upto_ms) for event in part]
        decided = within_reserves(events, self._books, self.done_ms)
        self._save_transitions(decided.transitions)
        for pool in sorted({event.pool for event in events}):
            self.state.put_packed(f"account/{pool.name}", self._books[pool].account)
        yield from results(payment_records(decided))

    def _save_transitions(self, transitions: Iterable[PayoutTransition]) -> None:
        for transition in transitions:
            queued, aside = _entry("queued", transition.instruction), _entry("aside", transition.instruction)
            if transition.kind == "queued":
                self.state.put_packed(queued, transition.instruction)
            elif transition.waited:
                self.state.drop(queued)
            if transition.kind == "withdrawn":
                self.state.put_packed(aside, transition.instruction)
            elif transition.waited:
                self.state.drop(aside)

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._books)

    def expire(self, upto_ms: int) -> None:
        before_ms = upto_ms - self._config.remembered_ms
        for pool, book in list(self._books.items()):
            if book.account.last_ms < before_ms and not book.waits:
                for instruction in book.held:
                    self.state.drop(_entry("aside", instruction))
                self.state.drop(f"account/{pool.name}")
                del self._books[pool]

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "arrived"):
            self._restore_deferred(name, _events(name.split("/")[1], payload))
        for _, payload in entries_of(entries, "account"):
            account = unpack(payload, BucketState)
            self._books[account.pool] = ReserveBook(account)
        by_bucket: dict[ReserveBucket, _InstructionsByKind] = defaultdict(lambda: {"queued": [], "aside": []})
        for kind in ("queued", "aside"):
            for _, payload in entries_of(entries, kind):
                instruction = unpack(payload, Instruction)
                by_bucket[instruction.pool][kind].append(instruction)
        for pool, instructions in by_bucket.items():
            self._books[pool].resume(instructions["queued"], instructions["aside"])


_InstructionsByKind = dict[str, list[Instruction]]


def _entry(kind: str, instruction: Instruction) -> str:
    return f"{kind}/{instruction.pool.name}/{instruction.payout['reference_id']}"


def _events(kind: str, payload: bytes) -> list[Event]:
    if kind == "reserves":
        return [Reserve.of(record) for record in unpack(payload, list[dict[str, Any]])]
    instructions, standings = unpack(payload, _InstructionsAndStandings)
    return [*instructions, *standings]
