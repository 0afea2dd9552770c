"""What a version of a product or of a model, or an erasure, changes in the configuration of a job that runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monsoon.pipelines.runtime.job_config import Erasure, JobConfig, ModelVersion
from monsoon.sources.control_records import ErasureRequest, ModelUpdate, ProductUpdate, Update
from monsoon.sources.product_files import read_product
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.product import Product, ProductError, chain_versions
from monsoon.transforms.product.versions import moment, since
from monsoon.transforms.scoring import ModelFolderError, Scorer


class UpdateError(ValueError):
    """An update that is refused, for its `faults`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class EventTimeUnknownError(Exception):
    """An update that can only be decided on once it is known how far event time has come."""


def with_update(config: JobConfig, update: Update, event_time_ms: int | None) -> tuple[JobConfig, int]:
    """The configuration with an update, and the moment (ms) from which that is in force.

    `event_time_ms`: how far event time has come; None: it is not known. A product of a new name is in force from the
    moment that its file states, whenever that is; a further version, or another model, only from a moment to come: of
    those past the decisions are made. A rider is erased at the end of the interval to come; where he is already, of
    before the same moment or a later one, the configuration stays as it is.

    Raises UpdateError for an update that is refused, and EventTimeUnknownError.
    """
    try:
        if isinstance(update, ModelUpdate):
            return _with_model(config, update, event_time_ms)
        if isinstance(update, ErasureRequest):
            return _with_erasure(config, update, event_time_ms)
        return _with_product(config, update, event_time_ms)
    except ProductError as error:
        raise UpdateError(error.faults or (str(error),)) from error
    except ModelFolderError as error:
        raise UpdateError((str(error),)) from error


def _with_product(config: JobConfig, update: ProductUpdate, event_time_ms: int | None) -> tuple[JobConfig, int]:
    version = read_product(update.content.encode(), update.file)
    known = config.known.get(version.name)
    if known is not None and version.name in config.running:
        _require_newest(known, version, update.file, event_time_ms)
    if known is not None and any(each.version == version.version for each in known.versions):
        product = known  # it was known, and runs from now on
    else:
        earlier = () if known is None else known.versions
        versions = {f"version {each.version}": replace(each, earlier=()) for each in earlier}
        product = chain_versions({**versions, update.file: version})
    changed = replace(
        config,
        known={**config.known, version.name: product},
        running=dict(sorted({**config.running, version.name: product}.items())),
    )
    changed.trigger_of_id  # noqa: B018 - refuses a hash that another trigger has
    return changed, version.from_ms


def _require_newest(known: Product, version: Product, where: str, event_time_ms: int | None) -> None:
    """Raises UpdateError for a version that does not begin after all others and after what is decided."""
    if any(each.version == version.version for each in known.versions):
        raise UpdateError([f"{where}: this version of {version.name!r} runs already"])
    if version.from_ms <= known.from_ms:
        fault = (
            f"{where}: in force {since(version.from_ms)}, and a version of {version.name!r} that runs is in force "
            f"{since(known.from_ms)}; a version that is added is the newest: give it a later in_force_from"
        )
        raise UpdateError([fault])
    _require_to_come(where, version.from_ms, event_time_ms)


def _with_model(config: JobConfig, update: ModelUpdate, event_time_ms: int | None) -> tuple[JobConfig, int]:
    folder = update.folder()
    absent = sorted(set(Scorer(folder).features).difference(FEATURE_NAMES))
    if absent:
        raise UpdateError([f"{update.name}: the model has features that claims do not have: {', '.join(absent)}"])
    if event_time_ms is None:
        raise EventTimeUnknownError
    from_ms = event_time_ms + 1 if update.in_force_from_ms is None else update.in_force_from_ms
    if any(each.in_force_from_ms == from_ms for each in config.later_models):
        raise UpdateError([f"{update.name}: another model is in force {since(from_ms)}; give it a moment of its own"])
    _require_to_come(update.name, from_ms, event_time_ms)
    return replace(config, later_models=(*config.later_models, ModelVersion(from_ms, folder))), from_ms


def _with_erasure(config: JobConfig, request: ErasureRequest, event_time_ms: int | None) -> tuple[JobConfig, int]:
    if event_time_ms is None:
        raise EventTimeUnknownError
    for known in config.erasures:
        if known.worker_hash == request.worker_hash and known.before_ms >= request.before_ms:
            return config, known.at_ms
    last_ms = max((known.at_ms for known in config.erasures), default=0)
    at_ms = max(config.intervals.end_of(event_time_ms + 1), last_ms + 1)
    erasure = Erasure(at_ms, request.worker_hash, request.before_ms)
    return replace(config, erasures=(*config.erasures, erasure)), at_ms


def _require_to_come(where: str, from_ms: int, event_time_ms: int | None) -> None:
    if event_time_ms is None:
        raise EventTimeUnknownError
    if from_ms <= event_time_ms:
        fault = (
            f"{where}: in force {since(from_ms)}, and event time has come to {moment(event_time_ms)}; decisions that "
            "are made stay: give it a later in_force_from"
        )
        raise UpdateError([fault])
