"""Text from files and their names, as a terminal can show it on one line."""

from __future__ import annotations


def printable(text: str) -> str:
    """One line; what is not printable as Python escapes it, bytes of names that are no text as they are on disk."""
    text = text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    line = " ".join(part.strip() for part in text.splitlines())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
