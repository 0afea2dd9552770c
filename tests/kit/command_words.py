"""The words of a command as monsoon itself reads them."""

from monsoon.cli.main import _parser


def parse(words):
    """What they say; SystemExit where the command does not know one."""
    return _parser(words).parse_args(words)
