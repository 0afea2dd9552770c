"""Which step follows which, and what each is made of."""

from __future__ import annotations

from functools import cached_property

from monsoon.pipelines.steps.accounts import AccountDeadLetters
from monsoon.pipelines.steps.claims import AdjudicateClaims
from monsoon.pipelines.steps.duplicates import DeduplicateTelemetry
from monsoon.pipelines.steps.exposure import ControlExposure
from monsoon.pipelines.steps.migrations import OF_STEPS
from monsoon.pipelines.steps.neighbors import CompareNeighbors
from monsoon.pipelines.steps.policies import RoutePolicies
from monsoon.pipelines.steps.records import DeduplicateRecords
from monsoon.pipelines.steps.riders import RidersEvidence
from monsoon.pipelines.steps.settings import Settings
from monsoon.pipelines.steps.step import MIGRATIONS, Kept, Step
from monsoon.pipelines.steps.triggers import JudgeTriggers, UniteDisruptions
from monsoon.pipelines.steps.weighing import WeighWitness, WitnessDevices
from monsoon.pipelines.steps.witness import AskWitness, WitnessTelemetry
from monsoon.sources.model_files import load_scorer
from monsoon.sources.provider_register import read_provider_register
from monsoon.sources.reference import ReferenceTables, read_references
from monsoon.transforms.provider_register import ProviderRegister
from monsoon.transforms.scoring import Scorer

ORDER: tuple[type[Step], ...] = (
    DeduplicateTelemetry,
    DeduplicateRecords,
    RoutePolicies,
    AskWitness,
    WitnessTelemetry,
    WitnessDevices,
    WeighWitness,
    JudgeTriggers,
    RidersEvidence,
    UniteDisruptions,
    CompareNeighbors,
    AdjudicateClaims,
    AccountDeadLetters,
    ControlExposure,
)
"""The keyed steps; each sends to later ones only."""

MIGRATIONS.update(OF_STEPS)


def order_of(settings: Settings) -> tuple[type[Step], ...]:
    """The steps that a job with these settings has."""
    asking = (AskWitness, WitnessTelemetry, WitnessDevices, WeighWitness)
    left_out = {*(() if settings.reserves else (ControlExposure,)), *(() if settings.telemetry_values else asking)}
    return tuple(step for step in ORDER if step not in left_out)


class Workshop:
    """Makes steps; what they share is loaded once in a process, when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def make(self, step: type[Step], key: int, kept: Kept) -> Step:
        """A step's state machine for one key."""
        if step is RidersEvidence:
            made: Step = RidersEvidence(key, kept, self._settings, self._references)
        elif step is WitnessTelemetry:
            made = WitnessTelemetry(key, kept, self._settings, self._references)
        elif step is DeduplicateRecords:
            made = DeduplicateRecords(key, kept, self._settings, self._register)
        elif step is AdjudicateClaims:
            made = AdjudicateClaims(key, kept, self._settings, self._scorer)
        else:
            made = step(key, kept, self._settings)  # type: ignore[call-arg]
        return made

    @cached_property
    def _register(self) -> ProviderRegister | None:
        return read_provider_register(self._settings.references)[0]

    @cached_property
    def _references(self) -> ReferenceTables:
        return read_references(self._settings.references)

    @cached_property
    def _scorer(self) -> Scorer:
        return load_scorer(self._settings.model)
