"""The summary that `replay` and `run` print at their end: what was decided, what was refused, and where to look."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monsoon.cli.printable import printable

_NAMED = 3
"""Ignored files named at most; `summary.json` has them all."""
_REASONS = 4
"""Reasons listed at most, the commonest first."""


def print_summary(command: str, summary: Mapping[str, Any], output: Path) -> None:
    """The three lines on standard output, warnings on standard error."""
    if passed_over := ignored_files_warning(summary):
        print(f"{command}: {passed_over}", file=sys.stderr)
    for warning in summary["warnings"]:
        print(f"{command}: warning: {printable(warning)}", file=sys.stderr)
    print(describe(summary, output))


def warn_of_links(command: str, source: Path) -> None:
    """A line on standard error for input files that a link brings in from outside the input; not of folders
    that are missing, which the command itself reports."""
    from monsoon.sources.files import InputError, find_files, streams_in

    try:
        found = {stream: find_files(source / stream).foreign for stream in streams_in(source)}
    except InputError:
        return
    links = [f"{stream}/{link}" for stream, foreign in found.items() for link in foreign]
    if links:
        more = f" and {len(links) - _NAMED:,} more" if len(links) > _NAMED else ""
        shown = printable(", ".join(links[:_NAMED]))
        print(f"{command}: warning: links lead out of the input, and are followed: {shown}{more}", file=sys.stderr)


def ignored_files_warning(summary: Mapping[str, Any]) -> str:
    """A line on files in the input folders that are no input files; empty if there are none."""
    from monsoon.sources.files import NAMES, NO_INPUT  # not needed for --help, which runs on Python alone

    names = [
        f"{stream}/{name}"
        for stream, counts in summary["streams"].items()
        for name in counts["ignored"]
        if not name.rstrip("/").rpartition("/")[2].startswith(NO_INPUT)  # a mark of another tool, ignored on purpose
    ]
    if not names:
        return ""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    shown = ", ".join(names[:_NAMED]).encode("unicode_escape").decode()
    return f"warning: passed over, being no {NAMES}: {shown}{more}"


def describe(summary: Mapping[str, Any], output: Path) -> str:
    """Three lines for people."""
    return "\n".join((_decided(summary), _refused(summary), _where(summary, output)))


def _decided(summary: Mapping[str, Any]) -> str:
    """Lines read and decisions, over all products; claims by product where several have any."""
    products: Mapping[str, Any] = summary["products"]
    disruptions = sum(sum(each["disruptions"].values()) for each in products.values())
    statuses = Counter[str]()
    for each in products.values():
        statuses.update({status.replace("_", " "): count for status, count in each["claims"].items()})
    claims = f"{_count(statuses.total(), 'claim')}{_listed(statuses, ' ({})')}"
    paid = sum(each["payouts"] for each in products.values())
    of = {name: sum(each["claims"].values()) for name, each in products.items() if each["claims"]}
    words = (
        f"decided: {_count(_lines(summary, 'read'), 'line')} read; {_count(disruptions, 'disruption')}, {claims}, "
        f"{_count(paid, 'payout')}, Rs {sum(each['payout_paise'] for each in products.values()) / 100:,.2f}"
    )
    if waiting := sum(each["queued_claims"] for each in products.values()):
        paise = sum(each["queued_paise"] for each in products.values())
        words += f"; {_count(waiting, 'claim')} wait{'s' * (waiting == 1)} for a reserve, Rs {paise / 100:,.2f}"
    return words + (f"; claims by product: {_listed(of)}" if len(of) > 1 else "")


def _refused(summary: Mapping[str, Any]) -> str:
    """Lines that became dead letters, by reason; values that were left out of lines; repeats, which are no fault."""
    reasons: Counter[str] = Counter()
    values: Counter[str] = Counter()
    for counts in summary["streams"].values():
        reasons.update(counts["reasons"])
        values.update(counts["nulled"])
    references = Counter(summary["reference_rows_skipped"])
    words = [f"refused: {_count(_lines(summary, 'dead'), 'line')}{_listed(reasons, ' ({})')}"]
    if values:
        words.append(f"{_count(values.total(), 'value')} of lines that were used{_listed(values, ' ({})')}")
    if references:
        words.append(f"{_count(references.total(), 'reference row')}{_listed(references, ' ({})')}")
    return ", ".join(words) + f"; {_count(_lines(summary, 'duplicate'), 'repeat')} passed over"


def _where(summary: Mapping[str, Any], output: Path) -> str:
    dead = "dead_letters/ has the refused lines with their reasons, " if _lines(summary, "dead") else ""
    return printable(
        f"look into {output}: {dead}claims/ has every decision with its reasons, summary.json counts all of it"
    )


def _lines(summary: Mapping[str, Any], became: str) -> int:
    return sum(counts[became] for counts in summary["streams"].values())


def _count(number: int, of: str) -> str:
    return f"{number:,} {of}{'s' * (number != 1)}" if number else f"no {of}s"


def _listed(counts: Mapping[str, int], within: str = "{}") -> str:
    """The largest counts with their names; empty where there are none."""
    largest = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    named = [printable(f"{count:,} {name}") for name, count in largest]
    rest = sum(count for _, count in largest[_REASONS:])
    more = [f"{rest:,} for other reasons"] if rest else []
    return within.format(", ".join(named[:_REASONS] + more)) if named else ""
