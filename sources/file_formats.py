"""The formats of files that people write, each with the JSON Schema that is made of its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monsoon.sources.dispatch_settings import DispatchFile
from monsoon.sources.kafka.settings import LiveSettings
from monsoon.sources.provider_files import Provider
from monsoon.sources.simulator.storm import Storm
from monsoon.transforms.documents import Section, json_schema
from monsoon.transforms.product.document import ProductSection

MODELS: Mapping[str, type[Section]] = {
    "dispatch": DispatchFile,
    "product": ProductSection,
    "provider": Provider,
    "settings": LiveSettings,
    "storm": Storm,
}
"""By the name of the format: what `contracts/NAME.schema.json` is made of."""


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a format's files. Raises KeyError."""
    return json_schema(MODELS[name], f"{name} file v1")
