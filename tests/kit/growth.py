"""What work costs, counted so that it repeats exactly on any machine: lines of Python, bytes of numpy."""

import sys
import tracemalloc

LINEAR = 5.5
CONSTANT = 1.1
"""Where only what is not news is four times as much."""


def lines_run(work, *args):
    """Lines of Python that `work` runs, by a trace function."""
    lines = 0

    def count(frame, event, arg):
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work(*args)
    finally:
        sys.settrace(before)
    return lines


def growth(prepare, size):
    """Lines run for four times the size, by lines run for the size; `prepare` returns what is measured."""
    prepare(2)()  # what is computed once, however much comes
    return lines_run(prepare(4 * size)) / lines_run(prepare(size))


def bytes_allocated(work, *args):
    """The most that `work` allocates at a time, by Python and numpy; of numpy it is what the arrays take."""
    tracemalloc.start()
    try:
        work(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
