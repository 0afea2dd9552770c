"""What a format's model is made of: sections, and what they say of their fields beside a type."""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Section(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A mapping with known fields: one that it does not know is an error, not a comment.

    A field that may be left out has a default; where leaving it out means something of its own, that is UNSET, so that
    an empty value (`pays:` and nothing behind it) is still an error.
    """

    either: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of fields of which the document has exactly one, whole, and nothing of the others."""


def about(description: str) -> msgspec.Meta:
    """What a field means, for the JSON Schema."""
    return msgspec.Meta(description=description)


def text_like(pattern: str, words: str, description: str | None = None) -> msgspec.Meta:
    """Text of a pattern (searched for, as JSON Schema has it); `words` tell what other text is not: `is no name`."""
    return msgspec.Meta(
        pattern=pattern, description=description, extra_json_schema={"errorMessage": {"pattern": words}}
    )


def unique(description: str | None = None) -> msgspec.Meta:
    """A list of at least one item, none twice."""
    return msgspec.Meta(min_length=1, description=description, extra_json_schema={"uniqueItems": True})
