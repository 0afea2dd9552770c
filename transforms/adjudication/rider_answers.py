"""Riders' confirmations, given to the machines of every product, one of which knows the claim; those that no machine
accepts become dead letters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from monsoon.transforms.adjudication.answers import RefusedAnswer, answer_from_record
from monsoon.transforms.adjudication.claims import Answer
from monsoon.transforms.validation.canonical import canonical_json
from monsoon.transforms.validation.raw_identifiers import masked
from monsoon.transforms.validation.record_validator import DeadLetter, fingerprint

STREAM = "confirmations"

_DETAILS: Mapping[str, str] = {
    "unknown_claim": "no claim of this id and policy was known at the time of the answer",
    "nothing_asked": "the claim did not wait for an answer then",
    "answered_already": "the claim was answered before",
    "answer_late": "the time for an answer was over",
}


_AnswerOfRider = tuple[str, Answer]
"""The rider and an answer; riders may use the same answer ids."""


class Answers:
    """The answers of some riders. A policy belongs to one product, so at most one product accepts an answer. An answer
    about a claim of a product that does not run counts as one about an unknown claim."""

    def __init__(self, records: Iterable[Mapping[str, Any]], not_before_ms: int | None = None) -> None:
        """`records` are of contracts/confirmation.schema.json; a late one counts as given at `not_before_ms`, the first
        moment that is not decided yet."""
        self._records: dict[_AnswerOfRider, Mapping[str, Any]] = {}
        self._by_worker: dict[str, list[Answer]] = defaultdict(list)
        for record in records:
            answer = answer_from_record(record)
            if not_before_ms is not None and answer.at_ms < not_before_ms:
                answer = replace(answer, at_ms=not_before_ms)
            self._records[record["worker_id"], answer] = record
            self._by_worker[record["worker_id"]].append(answer)
        self._accepted: set[_AnswerOfRider] = set()
        self._refusals: dict[_AnswerOfRider, str] = {}

    @property
    def workers(self) -> set[str]:
        """The riders who answered."""
        return set(self._by_worker)

    def of(self, worker: str) -> Sequence[Answer]:
        """A rider's answers."""
        return self._by_worker.get(worker, ())

    def record_refusals(self, worker: str, refused: Iterable[RefusedAnswer]) -> None:
        """A rider's machine got all answers of the rider and refused these."""
        reasons = {each.answer: each.reason for each in refused}
        for answer in self.of(worker):
            if answer not in reasons:
                self._accepted.add((worker, answer))
            elif reasons[answer] != "unknown_claim":
                self._refusals[worker, answer] = reasons[answer]

    def dead_letters(self) -> list[DeadLetter]:
        """Dead letters of the answers that no machine accepted."""
        letters = []
        for key, record in self._records.items():
            if key in self._accepted:
                continue
            reason, content = self._refusals.get(key, "unknown_claim"), canonical_json(dict(record))
            raw, at_ms = masked(content), record["event_time"]
            letters.append(DeadLetter(reason, _DETAILS[reason], raw, at_ms, fingerprint(content.encode())))
        return letters
