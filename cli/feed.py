"""`monsoon feed`: a provider's raw feed into the oracle readings of a replay's input."""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentTypeError
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monsoon.cli.printable import printable

_EXAMPLE = """\
example:
  monsoon feed --provider us_embassy --input newdelhi_pm25.csv.gz --output runs/smog
  monsoon feed --provider cpcb --input rk_puram.csv --at 28.563,77.187 --station "R K Puram" --output runs/smog

What comes several times an hour is averaged to hours. Hourly concentrations become the AQI on CPCB's scale, temperature
and humidity the heat index. An index on the US scale is converted or refused, never passed through. Each provider file
states which fields, units, scale and clock its feed has; docs/feeds.md explains how to write one. Feeds of several
providers may go to one folder.
"""

STEPS = ("5 min", "10 min", "15 min", "30 min", "1 h")


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "feed", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--provider", required=True, metavar="NAME", help="a provider of sources/providers/, or the path of a .yaml"
    )
    parser.add_argument(
        "--input", type=Path, required=True, nargs="+", metavar="FILE", help="*.csv, *.jsonl or *.json, also with .gz"
    )
    parser.add_argument(
        "--at", type=_place, metavar="LAT,LON", help="the position of the station, if the feed does not state it"
    )
    parser.add_argument(
        "--step",
        choices=tuple(STEPS),
        help="how long each row's interval is, if neither it nor the provider file states it",
    )
    parser.add_argument("--station", default="", metavar="NAME", help="the name of the station at --at")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="gets oracle_readings/, dead_letters/ and a summary"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Reads the feed, writes its readings, and prints in a few lines what became of its rows.

    Ends with 1 where there are rows and none of them could even be read.
    """
    from msgspec import structs

    from monsoon.sinks.feed_folder import require_feed_folder, write_feed
    from monsoon.sources.feeds.readings import read_feed
    from monsoon.sources.feeds.rows import Place
    from monsoon.sources.provider_files import load_provider

    provider = load_provider(args.provider)
    if args.step is not None:
        provider = structs.replace(provider, clock=structs.replace(provider.clock, step=args.step))
    require_feed_folder(args.output)
    place = None if args.at is None else Place(args.station[:64], *args.at)
    feed = read_feed(provider, args.input, place)
    write_feed(args.output, provider.name, feed.readings, feed.dead_letters, feed.summary)
    print(describe(provider.title, feed.summary))
    print(f"{args.output / f'feed-{provider.name}.summary.json'}")
    problem = nothing_usable(feed.summary)
    if problem is not None:
        letters = args.output / "dead_letters" / f"feed-{provider.name}.jsonl"
        where = f" {letters} has each row and why." if feed.dead_letters else ""
        print(printable(f"monsoon feed: no reading: {problem}{where}"), file=sys.stderr)
    rows = feed.summary["rows"]
    was_read = rows["used"] + rows["missing"] + rows["incomplete_hour"]
    return int(not feed.readings and rows["read"] > 0 and not was_read)


def describe(title: str, summary: Mapping[str, Any]) -> str:
    """The summary as a few lines for people."""
    rows = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in summary["rows"].items())
    lines = [printable(title), f"rows             {rows}"]
    if summary["dead_letters"]:
        lines.append(f"dead letters     {_counted(summary['dead_letters'])}")
    if summary["other_quantity"]:
        lines.append(f"other quantities {_counted(summary['other_quantity'])}")
    for words, names in (
        ("not read", summary["columns_not_read"]),
        ("unknown units", summary["columns_in_no_known_unit"]),
    ):
        if names:
            lines.append(
                f"{words:<16} columns {', '.join(map(printable, names[:12]))}{', ...' if len(names) > 12 else ''}"
            )
    hours = summary["hours"]
    if hours["averaged"] or hours["incomplete"]:
        lines.append(f"hours            {hours['averaged']:,} averaged, {hours['incomplete']:,} incomplete")
    if hours["without_enough_hours_before"]:
        lines.append(f"{'':<16} {hours['without_enough_hours_before']:,} without enough hours before them for an AQI")
    for metric, counts in summary["readings"].items():
        lines.append(f"{metric:<16} {counts['readings']:,} readings, {counts['corrections']:,} corrections")
    for basis, count in summary["aqi_basis"].items():
        lines.append(f"{'':<16} {count:,} on {basis}")
    return "\n".join(lines)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {printable(name)}" for name, count in counts.items())


_MENDS = {
    "wrong_interval": "Give means of an hour or less: longer ones do not show an hour.",
    "not_hourly": "Give with --step how long each row's interval is.",
    "overlapping_interval": "Give each time once.",
    "wrong_unit": "Give them in a unit of docs/feeds.md.",
    "bad_time": "Give times in the format of the provider file, or mend its clock.format.",
    "missing_field": "Give rows with that field, or a provider file that names it as they do.",
    "not_json": "Give one JSON object a line in *.jsonl, or an API's answer in *.json.",
}


def _mend(reasons: Mapping[str, int]) -> str:
    """What to do about the commonest of reasons."""
    commonest = max(sorted(reasons), key=lambda reason: reasons[reason])
    if commonest.startswith("missing_field:") and "lat" in commonest:
        return "Give the position of the station with --at LAT,LON."
    return _MENDS.get(commonest.partition(":")[0], "Mend them, or the provider file (docs/feeds.md).")


def nothing_usable(summary: Mapping[str, Any]) -> str | None:
    """Why a feed has no reading and what to do, in one line; None where it has some."""
    if summary["readings"]:
        return None
    rows = summary["rows"]
    if not rows["read"]:
        return "the file has no rows. Give one with the rows of the time in question."
    worst = max(("dead", "other_quantity", "incomplete_hour", "missing", "used"), key=lambda name: rows[name])
    if worst == "dead":
        return f"rows were refused ({_counted(summary['dead_letters'])}). {_mend(summary['dead_letters'])}"
    if worst == "other_quantity":
        found = _counted(summary["other_quantity"]) or "none of its fields"
        return (
            f"the rows have no quantity that this provider file reads ({found}). Is it this provider's feed? "
            "docs/feeds.md explains how to write a provider file."
        )
    return {
        "incomplete_hour": "of no hour are three quarters covered (of rain the whole). Give a feed without such gaps, "
        "or, if its rows are of longer intervals than --step, the right --step.",
        "missing": "every value is what its provider writes for a missing one. Give another time, or another station.",
        "used": "an AQI needs 16 of 24 hours (CO, O3: 6 of 8), and nowhere are as many known. Give hourly values, a "
        "day or more of them; means of a day are none.",
    }[worst]


def _place(text: str) -> tuple[float, float]:
    try:
        lat, lon = map(float, text.split(","))
        if abs(lat) <= 90 and abs(lon) <= 180 and (lat, lon) != (0, 0):
            return lat, lon
    except ValueError:
        pass
    raise ArgumentTypeError(f"{text!r} is not latitude,longitude in degrees, like 28.598,77.189")
