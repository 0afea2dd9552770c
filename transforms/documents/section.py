"""What a format's model is made of: sections, and what they say of their fields beside a type."""

from __future__ import annotations

from typing import ClassVar, TypeVar, Union

import msgspec

Value = TypeVar("Value")
OrLeftOut = Union[Value, msgspec.UnsetType]  # noqa: UP007  (an alias with a parameter)
"""Of a field that may be left out, which means something of its own: then it is UNSET. Empty it may not be."""


class Section(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A mapping with known fields: one that it does not know is an error, not a comment.

    A field that may be left out has a default.
    """

    either: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of fields of which the document has exactly one, whole, and nothing of the others."""


def given(value: OrLeftOut[Value]) -> Value | None:
    """The value of a field; None where it was left out."""
    return None if isinstance(value, msgspec.UnsetType) else value


def about(description: str) -> msgspec.Meta:
    """What a field means, for the JSON Schema."""
    return msgspec.Meta(description=description)


def text_like(pattern: str, words: str, description: str | None = None) -> msgspec.Meta:
    """Text of a pattern (searched for, as JSON Schema has it); `words` tell what other text is not: `is no name`."""
    return msgspec.Meta(
        pattern=pattern, description=description, extra_json_schema={"errorMessage": {"pattern": words}}
    )


def some(description: str | None = None) -> msgspec.Meta:
    """A list or mapping of at least one entry."""
    return msgspec.Meta(min_length=1, description=description)


def unique(description: str | None = None) -> msgspec.Meta:
    """A list of at least one item, none twice."""
    return msgspec.Meta(min_length=1, description=description, extra_json_schema={"uniqueItems": True})
