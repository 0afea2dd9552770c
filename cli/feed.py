"""`monsoon feed`: a provider's raw feed into the oracle readings of a replay's input."""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_EXAMPLE = """\
example:
  monsoon feed --provider us_embassy --input newdelhi_pm25.csv.gz --output runs/smog
  monsoon feed --provider cpcb --input rk_puram.csv --at 28.563,77.187 --station "R K Puram" --output runs/smog

Hourly concentrations become the AQI on CPCB's scale, temperature and humidity the heat index. An index on the US scale
is converted or refused, never passed through. Each provider file says which fields, units, scale and clock its feed
speaks; docs/feeds.md says how to write one. Feeds of several providers may go to one folder.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "feed", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--provider", required=True, metavar="NAME", help="a provider of sources/providers/, or the path of a .yaml"
    )
    parser.add_argument(
        "--input", type=Path, required=True, nargs="+", metavar="FILE", help="*.csv or *.jsonl, also with .gz"
    )
    parser.add_argument(
        "--at", type=_place, metavar="LAT,LON", help="where the station stands, if the feed does not say"
    )
    parser.add_argument("--station", default="", metavar="NAME", help="the name of the station at --at")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="gets oracle_readings/, dead_letters/ and a summary"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Reads the feed, writes its readings, and says in a few lines what came of its rows."""
    from monsoon.sinks.feed_folder import require_feed_folder, write_feed
    from monsoon.sources.feeds.readings import read_feed
    from monsoon.sources.feeds.rows import Place
    from monsoon.sources.provider_files import load_provider

    provider = load_provider(args.provider)
    require_feed_folder(args.output)
    place = None if args.at is None else Place(args.station[:64], *args.at)
    feed = read_feed(provider, args.input, place)
    write_feed(args.output, provider.name, feed.readings, feed.dead_letters, feed.summary)
    print(describe(provider.title, feed.summary))
    print(f"{args.output / f'feed-{provider.name}.summary.json'}")
    return 0


def describe(title: str, summary: Mapping[str, Any]) -> str:
    """The summary as a few lines for people."""
    rows = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in summary["rows"].items())
    lines = [title, f"rows             {rows}"]
    if summary["dead_letters"]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in summary["dead_letters"].items())
        lines.append(f"dead letters     {reasons}")
    for metric, counts in summary["readings"].items():
        lines.append(f"{metric:<16} {counts['readings']:,} readings, {counts['corrections']:,} corrections")
    for basis, count in summary["aqi_basis"].items():
        lines.append(f"{'':<16} {count:,} on {basis}")
    return "\n".join(lines)


def _place(text: str) -> tuple[float, float]:
    try:
        lat, lon = map(float, text.split(","))
        if abs(lat) <= 90 and abs(lon) <= 180:
            return lat, lon
    except ValueError:
        pass
    raise ArgumentTypeError(f"{text!r} is not latitude,longitude in degrees, like 28.598,77.189")
