"""The `monsoon` command: arguments, words and progress.

Belongs here: one module a command with `add_parser` and `run`, and how arguments, progress and results are put into
words. Does not: logic; a command calls a pipeline.
"""
