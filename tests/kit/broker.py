"""A Kafka broker of the tests' own."""

from contextlib import contextmanager

from kit.needs import need
from monsoon.pipelines.stack import jars
from monsoon.pipelines.stack.kafka_broker import KafkaBroker


def need_jars():
    """Skips the test where the jars of Kafka are not fetched."""
    need(jars.are_fetched(), "no jars of Kafka here; fetch them with: ./monsoon jars")


@contextmanager
def broker_in(folder):
    """A broker that runs, in a folder; killed in the end."""
    need_jars()
    broker = KafkaBroker(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
