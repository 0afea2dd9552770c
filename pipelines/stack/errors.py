"""The error of the stack, in words for its user."""

from __future__ import annotations


class StackError(Exception):
    """A process of the stack, or what it needs, is not as it should be: what, and what to do."""
