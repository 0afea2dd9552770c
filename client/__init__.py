"""For services that consume Monsoon's results from Kafka: typed records, each once, from where they left off.

Belongs here: what such a service imports. It needs no more than msgspec, kafka-python (the extra `kafka`) and
`monsoon.contracts`. Does not: anything that decides, and the engines' own reading and writing of topics.
"""

from monsoon.client.consumer import Consumer, Foreign, Received
from monsoon.client.errors import (
    BrokerUnavailableError,
    ClientError,
    CommitRefusedError,
    ForeignRecordError,
    TopicNotFoundError,
)
from monsoon.client.latest import Latest
from monsoon.client.records import (
    RECORD_TYPES,
    Claim,
    DeadLetter,
    Disruption,
    Feature,
    GuardSignal,
    Notification,
    Payout,
    PayoutResult,
    Reread,
    ReserveAlert,
    RingAlert,
    RingEvidence,
    Signal,
    SyndicateAlert,
)

__all__ = [
    "RECORD_TYPES",
    "BrokerUnavailableError",
    "Claim",
    "ClientError",
    "CommitRefusedError",
    "Consumer",
    "DeadLetter",
    "Disruption",
    "Feature",
    "Foreign",
    "ForeignRecordError",
    "GuardSignal",
    "Latest",
    "Notification",
    "Payout",
    "PayoutResult",
    "Received",
    "Reread",
    "ReserveAlert",
    "RingAlert",
    "RingEvidence",
    "Signal",
    "SyndicateAlert",
    "TopicNotFoundError",
]
