"""Records of the topic `control`: versions of products and models for a job that runs, riders whom it is to erase, and
what a job decided on them (contracts/control.schema.json)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from monsoon.sources.plain_yaml import read_file
from monsoon.sources.product_files import read_product
from monsoon.transforms.erasure import worker_hash
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.scoring.folder import (
    MANIFEST,
    ModelFolder,
    build_manifest,
    read_model_folder,
    unpack_model_folder,
)

_MOST_TEXT = 200


class ControlRecordError(ValueError):
    """A record that is no control record; the message says why."""


class ProductUpdate(msgspec.Struct, frozen=True, tag="product", tag_field="kind"):
    """A version of a product: the name and the content of its file. When it comes into force is in the file."""

    file: str
    content: str


class ModelUpdate(msgspec.Struct, frozen=True, tag="model", tag_field="kind"):
    """A model folder: the content of each of its files by name, the manifest included.

    It scores claims on disruptions that are confirmed from `in_force_from_ms` on; None: from the moment to which event
    time has come when a job takes it over.
    """

    name: str
    files: dict[str, bytes]
    in_force_from_ms: int | None = None

    def folder(self) -> ModelFolder:
        """Its checked contents. Raises ModelFolderError."""
        return unpack_model_folder(Path(self.name), self.files)


class ErasureRequest(msgspec.Struct, frozen=True, tag="erasure", tag_field="kind"):
    """A rider whose location evidence is to be erased: the hash of his id as in the list of erased riders, and before
    which event time (ms) his reports are erased, and later ones refused."""

    worker_hash: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    before_ms: Annotated[int, msgspec.Meta(ge=0, lt=10**13)]


class Decision(msgspec.Struct, frozen=True, tag="decision", tag_field="kind"):
    """What the job of a consumer group decided on the record at an offset of the topic: taken over, or refused for its
    `faults`.

    `event_time_ms`: how far event time had come; None where the job did not know it. `in_force_from_ms` is set for what
    was taken over. Of several decisions of a group on one record the first stands.
    """

    group: str
    offset: int
    faults: tuple[str, ...] = ()
    in_force_from_ms: int | None = None
    event_time_ms: int | None = None


Update = ProductUpdate | ModelUpdate | ErasureRequest
ControlRecord = Update | Decision


def decode_control_record(value: bytes | None) -> ControlRecord:
    """The record of a Kafka record's value. Raises ControlRecordError."""
    if not value:
        raise ControlRecordError("no value: what was taken over is not taken back; put another version")
    try:
        found: ControlRecord = msgspec.json.decode(value, type=ControlRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ControlRecordError(f"no control record: {str(error)[:_MOST_TEXT]}") from error
    return found


def encode_control_record(record: ControlRecord) -> bytes:
    """The value of its Kafka record."""
    return msgspec.json.encode(record)


def product_update(file: Path) -> tuple[str, ProductUpdate]:
    """The key and the record of a product file.

    Raises ProductError for one that cannot be used, OSError for one that cannot be read.
    """
    content = read_file(file)
    product = read_product(content, str(file))
    return f"product/{product.name}/{product.version}", ProductUpdate(file.name, content.decode())


def model_update(path: Path, in_force_from_ms: int | None) -> tuple[str, ModelUpdate]:
    """The key and the record of a model folder, with the files that its manifest lists.

    Raises ModelFolderError for one that fails its checks.
    """
    folder = read_model_folder(path)
    Scorer(folder)
    manifest = build_manifest(folder.name, folder.contents)
    files = {MANIFEST: msgspec.json.encode(manifest), **folder.contents}
    return f"model/{folder.name}/{folder.version}", ModelUpdate(path.name, files, in_force_from_ms)


def erasure_request(worker_id: str, before_ms: int) -> tuple[str, ErasureRequest]:
    """The key and the record of an erasure."""
    request = ErasureRequest(worker_hash(worker_id), before_ms)
    return f"erasure/{request.worker_hash}/{before_ms}", request


def key_of_decision(decision: Decision) -> str:
    """The key of a decision's record."""
    return f"decision/{decision.group}/{decision.offset}"
