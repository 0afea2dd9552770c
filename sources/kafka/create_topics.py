"""Creates the topics of an installation: `python -m monsoon.sources.kafka.create_topics --brokers HOST:PORT`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

from monsoon.contracts.topics import TOPICS, Topic, topic_name
from monsoon.sources.files import InputError
from monsoon.sources.kafka.admin import refusals

BROKERS_DEFAULT = -1
"""As many replicas as the brokers' own setting says (default.replication.factor)."""


def create_topics(
    brokers: str, topics: Iterable[Topic], prefix: str = "", replicas: int = BROKERS_DEFAULT
) -> list[str]:
    """Creates those topics that are not there; returns their names. Raises InputError if the brokers refuse one."""
    from kafka import KafkaAdminClient

    with (
        refusals(brokers),
        KafkaAdminClient(bootstrap_servers=brokers.split(","), bootstrap_timeout_ms=10_000) as admin,
    ):
        present = set(admin.list_topics())
        lacking = [topic for topic in topics if topic_name(topic.stream, prefix) not in present]
        wanted = {
            topic_name(topic.stream, prefix): {
                "num_partitions": topic.partitions,
                "replication_factor": replicas,
                "configs": topic.configuration,
            }
            for topic in lacking
        }
        if wanted:
            admin.create_topics(wanted, wait_for_metadata=True)
        return list(wanted)


def main(argv: Sequence[str] | None = None) -> int:
    """Creates what lacks, and prints its names."""
    parser = argparse.ArgumentParser(prog="monsoon.sources.kafka.create_topics", description=__doc__)
    parser.add_argument("--brokers", required=True, metavar="HOST:PORT,...")
    parser.add_argument("--prefix", default="", help="before every topic's name")
    args = parser.parse_args(argv)
    try:
        created = create_topics(args.brokers, TOPICS.values(), args.prefix)
    except InputError as error:
        print(f"monsoon: {error}", file=sys.stderr)
        return 1
    print(f"created: {', '.join(created) or 'none, all are there'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
