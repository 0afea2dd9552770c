"""The `monsoon` command: arguments, words and progress.

Belongs here: one module a command with `add_parser` and `run`. Does not: logic; a command calls a pipeline.
"""
