"""The building blocks of a format's model: sections, and annotations of their fields."""

from __future__ import annotations

from typing import ClassVar, TypeVar, Union

import msgspec

Value = TypeVar("Value")
OrUnset = Union[Value, msgspec.UnsetType]  # noqa: UP007  (an alias with a parameter)
"""The type of an optional field without a default value: UNSET where it is left out. Null is refused."""


class Section(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A mapping with known fields: one that it does not know is an error, not a comment.

    A field that may be left out has a default.
    """

    exactly_one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of fields of which the document has exactly one, whole, and nothing of the others."""


def value_or_none(value: OrUnset[Value]) -> Value | None:
    """The value of a field; None where it was left out."""
    return None if isinstance(value, msgspec.UnsetType) else value


def about(description: str) -> msgspec.Meta:
    """What a field means, for the JSON Schema."""
    return msgspec.Meta(description=description)


def matching(pattern: str, words: str, description: str | None = None) -> msgspec.Meta:
    """Text of a pattern (searched for, as JSON Schema has it); `words` complete the message for other text: `is no
    name`."""
    return msgspec.Meta(
        pattern=pattern, description=description, extra_json_schema={"errorMessage": {"pattern": words}}
    )


def non_empty(description: str | None = None) -> msgspec.Meta:
    """A list or mapping of at least one entry."""
    return msgspec.Meta(min_length=1, description=description)


def unique_items(description: str | None = None) -> msgspec.Meta:
    """A list of at least one item, none twice."""
    return msgspec.Meta(min_length=1, description=description, extra_json_schema={"uniqueItems": True})
