"""One instance: takes payments that are due, calls the provider, and writes down what came of it.

Whatever line it dies at, another goes on: an intent without an outcome is called again, with the same key and body.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from monsoon.sinks.dispatcher.provider import Provider, Reply
from monsoon.sinks.dispatcher.store import Store, Work
from monsoon.transforms.payments import Act

_log = logging.getLogger("monsoon.dispatcher")


class Dispatcher:
    """Not thread-safe: each thread has its own, with a store of its own. `sleep_s` waits for a token to call with."""

    def __init__(
        self,
        owner: str,
        store: Store,
        provider: Provider,
        sleep_s: Callable[[float], object],
        count: Callable[[str], None] = lambda reply: None,
    ) -> None:
        """`count` is told the kind of each reply."""
        self._owner, self._store, self._provider, self._sleep_s, self._count = owner, store, provider, sleep_s, count

    def work_once(self) -> int:
        """Does what is due, a batch of it; how many calls that took."""
        work = self._store.claim(self._owner)
        for each in work:
            self._sleep_s(self._store.wait_us() / 1e6)
            reply = self._call(each)
            self._count(reply.kind)
            if each.act is Act.FETCH and reply.kind == "refused":
                reply = replace(reply, kind="unknown")
            self._conclude(each, reply)
        return len(work)

    def _call(self, work: Work) -> Reply:
        if work.act is Act.CREATE:
            return self._provider.create(work.key, work.body)
        return self._provider.fetch(work.key, work.provider_id)

    def _conclude(self, work: Work, reply: Reply) -> None:
        if reply.payout is not None:
            self._store.observe(reply.payout, "call")
        elif reply.kind == "refused":
            _log.warning("%s: the provider refuses it: %s", work.key, reply.detail)
            self._store.hold(work.reference_id, "refused_by_provider")
        elif reply.kind == "unknown":
            self._store.hold(work.reference_id, "unknown_to_provider")
        else:
            if reply.kind == "denied":
                _log.error("the breaker is open, and nothing is paid: the provider denies access: %s", reply.detail)
                self._store.set_breaker(True, "the provider denies access")
            self._store.called(work.reference_id, reply.retry_after_ms)
