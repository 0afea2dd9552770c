"""Riders' answers where their telemetry is: which claims were confirmed, and the re-reads of them to be measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from monsoon.pipelines.runtime.keyed_operator import StateWriter, entries_of
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small
from monsoon.transforms.claim_scores import ScoringRequest
from monsoon.transforms.product_claims import ProductClaims
from monsoon.transforms.reread_schedule import AnsweredClaim, RereadSchedule


class RereadRequests:
    """The answers of one bucket of riders; state entries `answered`, one for each disruption with any."""

    def __init__(self, state: StateWriter, product_claims: Mapping[str, ProductClaims]) -> None:
        self._state = state
        self._schedules = {name: RereadSchedule(claims) for name, claims in product_claims.items()}

    @property
    def next_ms(self) -> int | None:
        """When the next wait for an answer that came may end (ms); None: there is none."""
        return min((each.next_ms for each in self._schedules.values() if each.next_ms is not None), default=None)

    def drop_answers(self, due_messages: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """Removes the entries of messages with answers, of deferred ones that are due (None: another message); gives
        the answers, None where there was no such message."""
        messages = {name: records for name, records in due_messages.items() if records is not None}
        for name in messages:
            self._state.drop(name)
        return [record for records in messages.values() for record in records] if messages else None

    def of_product(
        self,
        product: str,
        records: Collection[Mapping[str, Any]],
        changed: Collection[str],
        after_ms: int,
        upto_ms: int,
    ) -> list[ScoringRequest]:
        """The re-reads of claims on a product that may be needed in (after, upto]; `records` are the answers of that
        time, `changed` the disruptions with new revisions or activity results.

        A late answer counts from a moment that the adjudication of claims sets, which is in that time too: it has the
        re-reads of both its ends.
        """
        schedule = self._schedules[product]
        answers: dict[AnsweredClaim, list[tuple[int, str]]] = defaultdict(list)
        for record in records:
            if record["answer"] != "confirm":
                continue
            at_ms = record["event_time"]
            moments_ms = (at_ms,) if at_ms > after_ms else (after_ms + 1, upto_ms)
            claim = schedule.add(record, moments_ms[0])
            if claim is not None:
                answers[claim].extend((each_ms, record["answer_id"]) for each_ms in moments_ms)
        for identity in sorted({claim.disruption_id for claim in answers}):
            self._state.put(self._entry(product, identity), pack_small(schedule.answered[identity]))
        return schedule.requests(answers, changed, after_ms, upto_ms)

    def forget(self, product: str, identity: str) -> None:
        """Forgets the answers about the claims on a disruption."""
        self._schedules[product].forget(identity)
        self._state.drop(self._entry(product, identity))

    def restore(self, entries: Mapping[str, bytes], done_ms: int) -> None:
        """Restores from state entries, when disruptions and activity results have been."""
        for name, payload in entries_of(entries, "answered"):
            _, product, identity = name.split("/", 2)
            self._schedules[product].answered[identity] = unpack_small(payload, dict[str, dict[str, int]])
        for schedule in self._schedules.values():
            schedule.schedule(done_ms)

    def _entry(self, product: str, identity: str) -> str:
        return f"answered/{product}/{identity}"
