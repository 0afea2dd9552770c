"""Errors of a season that a user can meet."""


class SeasonError(Exception):
    """A season that cannot go on; the message says what happened, what is kept, and what to do."""
