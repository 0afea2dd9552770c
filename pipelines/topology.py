"""The topology: all keyed operators in order, and the factory that constructs them."""

from __future__ import annotations

from functools import cached_property

from monsoon.pipelines.operators.adjudicate_claims import AdjudicateClaims
from monsoon.pipelines.operators.announce_zones import AnnounceZones
from monsoon.pipelines.operators.confirm_disruptions import ConfirmDisruptions
from monsoon.pipelines.operators.control_exposure import ControlExposure
from monsoon.pipelines.operators.dead_letter_accounts import AccountDeadLetters
from monsoon.pipelines.operators.deduplicate_records import DeduplicateRecords
from monsoon.pipelines.operators.find_rings import FindRings
from monsoon.pipelines.operators.link_claims import LinkClaims
from monsoon.pipelines.operators.measure_features import MeasureFeatures
from monsoon.pipelines.operators.merge_disruptions import MergeDisruptions
from monsoon.pipelines.operators.peer_features import ComparePeers
from monsoon.pipelines.operators.rider_evidence import RiderEvidence
from monsoon.pipelines.operators.route_policies import RoutePolicies
from monsoon.pipelines.operators.state_erasure import OPERATOR_ERASERS
from monsoon.pipelines.operators.state_migrations import OPERATOR_MIGRATIONS
from monsoon.pipelines.operators.telemetry_aggregation import AggregateTelemetryAnswers, TrustSilentRiders
from monsoon.pipelines.operators.telemetry_queries import AnswerTelemetryQueries, QueryTelemetry
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import ERASERS, MIGRATIONS, KeyedOperator, StateWriter
from monsoon.sources.model_files import load_scorer
from monsoon.sources.provider_register import read_provider_register
from monsoon.sources.reference import ReferenceTables, read_references
from monsoon.transforms.provider_register import ProviderRegister
from monsoon.transforms.scoring import ModelSchedule, Scorer

OPERATORS: tuple[type[KeyedOperator], ...] = (
    AnnounceZones,
    DeduplicateRecords,
    RoutePolicies,
    QueryTelemetry,
    AnswerTelemetryQueries,
    TrustSilentRiders,
    AggregateTelemetryAnswers,
    ConfirmDisruptions,
    RiderEvidence,
    MeasureFeatures,
    MergeDisruptions,
    ComparePeers,
    LinkClaims,
    FindRings,
    AdjudicateClaims,
    AccountDeadLetters,
    ControlExposure,
)
"""The keyed operators in topological order: each sends only to later ones."""

MIGRATIONS.update(OPERATOR_MIGRATIONS)
ERASERS.update(OPERATOR_ERASERS)


def operators_of(config: JobConfig) -> tuple[type[KeyedOperator], ...]:
    """The operators in the graph of a job."""
    telemetry_operators = (QueryTelemetry, AnswerTelemetryQueries, TrustSilentRiders, AggregateTelemetryAnswers)
    excluded = {
        *(() if config.reserves else (ControlExposure,)),
        *(() if config.features else (MeasureFeatures,)),
        *(() if config.telemetry_triggers or config.takes_changes else telemetry_operators),
    }
    return tuple(operator for operator in OPERATORS if operator not in excluded)


class OperatorFactory:
    """Constructs operators; model and reference files are loaded once a process, when they are first needed."""

    def __init__(self, config: JobConfig) -> None:
        self._config = config

    def make(self, operator: type[KeyedOperator], key: int, state: StateWriter) -> KeyedOperator:
        """The instance of an operator for one key."""
        if operator is RiderEvidence:
            made: KeyedOperator = RiderEvidence(key, state, self._config, self._references)
        elif operator is AnswerTelemetryQueries:
            made = AnswerTelemetryQueries(key, state, self._config, self._references)
        elif operator is DeduplicateRecords:
            made = DeduplicateRecords(key, state, self._config, self._register)
        elif operator is AdjudicateClaims:
            made = AdjudicateClaims(key, state, self._config, self._models)
        else:
            made = operator(key, state, self._config)  # type: ignore[call-arg]
        made.intervals = self._config.intervals
        made.erasures = self._config.erasures if operator.uid in ERASERS else ()
        return made

    @cached_property
    def _register(self) -> ProviderRegister | None:
        return read_provider_register(self._config.references)[0]

    @cached_property
    def _references(self) -> ReferenceTables:
        return read_references(self._config.references)

    @cached_property
    def _models(self) -> ModelSchedule:
        later = ((version.in_force_from_ms, Scorer(version.folder)) for version in self._config.later_models)
        return ModelSchedule(load_scorer(self._config.model), later)
