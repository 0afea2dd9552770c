"""Riders' answers on their way to the machines of every product, one of which knows the claim; and what becomes of
those that changed nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

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


_Given = tuple[str, Answer]
"""An answer and the rider who gave it: another may have used its id."""


class Answers:
    """The answers of some riders. A policy is of one product, so of the products that run at most one takes an answer;
    one that is about the claim of a product that does not run is about a claim that nobody knows."""

    def __init__(self, records: Iterable[Mapping[str, Any]], not_before_ms: int | None = None) -> None:
        """`records` are of contracts/confirmation.schema.json; one that comes late counts as given at `not_before_ms`,
        the first moment that is not decided yet."""
        self._records: dict[_Given, Mapping[str, Any]] = {}
        self._of: dict[str, list[Answer]] = defaultdict(list)
        for record in records:
            answer = answer_from_record(record)
            if not_before_ms is not None and answer.at_ms < not_before_ms:
                answer = replace(answer, at_ms=not_before_ms)
            self._records[record["worker_id"], answer] = record
            self._of[record["worker_id"]].append(answer)
        self._taken: set[_Given] = set()
        self._why: dict[_Given, str] = {}

    @property
    def workers(self) -> set[str]:
        """Who answered."""
        return set(self._of)

    def of(self, worker: str) -> Sequence[Answer]:
        """A rider's answers."""
        return self._of.get(worker, ())

    def heard(self, worker: str, refused: Iterable[RefusedAnswer]) -> None:
        """A machine of a rider was told the answers, and refused some."""
        reasons = {each.answer: each.reason for each in refused}
        for answer in self.of(worker):
            if answer not in reasons:
                self._taken.add((worker, answer))
            elif reasons[answer] != "unknown_claim":
                self._why[worker, answer] = reasons[answer]

    def dead(self) -> list[DeadLetter]:
        """Dead letters of the answers that no machine took."""
        letters = []
        for given, record in self._records.items():
            if given in self._taken:
                continue
            reason, content = self._why.get(given, "unknown_claim"), canonical_json(dict(record))
            raw, at_ms = masked(content), record["event_time"]
            letters.append(DeadLetter(reason, _DETAILS[reason], raw, at_ms, fingerprint(content.encode())))
        return letters
