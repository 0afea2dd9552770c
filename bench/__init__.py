"""Measurements that anyone can repeat: one module a bench, each comparing two things in the same run.

Belongs here: timing whole processes or hot paths and printing ratios. Does not: assertions; those are tests.
"""

from collections.abc import Callable

CountTo = Callable[[int], Callable[[str], int]]
"""Handed over by the command line: `count_to(most)` is the type of arguments from 1 to `most`, whole numbers."""
