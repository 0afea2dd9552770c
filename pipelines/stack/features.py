"""The processes of a stack that keep features: Redis, and the consumer that fills it and an offline store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from monsoon.pipelines.progress import Progress
from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.ports import HOST, free_ports
from monsoon.pipelines.stack.processes import StackProcess, monsoon_command
from monsoon.pipelines.stack.redis_server import REDIS, RedisServer, require_redis_server

CONSUMER = "features"
STORE = "features"
"""The offline store, in the stack's folder."""
_GROUP = "monsoon-features"
_WRITE_EVERY_S = 15
"""To the offline store: who looks at a stack of one machine does not wait for the five minutes of a large one."""
_PATIENCE_S = 60


def features_record() -> dict[str, Any]:
    """What stack.json states of features, with the address of Redis."""
    return {"redis": f"{HOST}:{free_ports(1)[0]}"}


class FeatureServices:
    """Of the stack in a folder, as its record states them."""

    def __init__(self, folder: Path, record: Mapping[str, Any], brokers: str) -> None:
        self.redis = RedisServer(folder, int(record["redis"].rpartition(":")[2]))
        self.consumer = StackProcess(folder, CONSUMER)
        self.store = folder / STORE
        self._brokers = brokers

    def launch(self) -> None:
        """Starts Redis, without waiting. Raises StackError."""
        self.redis.launch()

    def finish(self, progress: Progress) -> None:
        """Starts the consumer, once the topics are there; returns when all is ready. Raises StackError."""
        self.launch_consumer()
        self.wait_until_ready(progress)

    def wait_until_ready(self, progress: Progress) -> None:
        """Returns when Redis answers and the consumer has written to it. Raises StackError."""
        self.redis.wait_until_ready(progress)
        self.consumer.wait_until(self._is_filled, _PATIENCE_S, progress)

    def launchers(self) -> dict[str, Callable[[], None]]:
        """By the name of a process, what starts it again."""
        return {REDIS: self.redis.launch, CONSUMER: self.launch_consumer}

    def places(self) -> dict[str, str]:
        """By the name of a process, where it is reached, or what it writes."""
        return {REDIS: self.redis.url, CONSUMER: str(self.store)}

    def launch_consumer(self) -> None:
        """Starts the consumer, which goes on where the stores are."""
        self.consumer.start(
            monsoon_command(
                *("features", "consume", "--follow"),
                *("--brokers", self._brokers),
                *("--redis", self.redis.url),
                *("--store", str(self.store)),
                *("--write-every-s", str(_WRITE_EVERY_S)),
                *("--group", _GROUP),
            )
        )

    def _is_filled(self) -> bool:
        """Whether what was in the topic has begun to come."""
        from monsoon.feature_store.online import OnlineStore, StoreUnavailableError

        with suppress(StoreUnavailableError), OnlineStore(self.redis.url) as online:
            return online.has_positions(_GROUP)
        return False


def require_features() -> None:
    """Raises StackError where something that keeps features is not installed."""
    if find_spec("redis") is None:
        raise StackError("redis is not installed; ./monsoon brings it, or: pip install 'monsoon[redis]'")
    require_redis_server()
