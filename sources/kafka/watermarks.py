"""How far event time has come in the partitions of a broker, whose records cannot be scanned before they are read.

A record moves the watermark by its event time, but not beyond its arrival (the broker's timestamp): a phone whose clock
is ahead is bounded by the broker's. Where the producer stamps history, and arrival is no bound, a second bound holds:
event time has come to a moment only when two speakers (riders, providers, policies) have named one as late. A clock
that is behind moves nothing.

An empty record is a heartbeat: nothing earlier than its timestamp follows in its partition. So a gateway without riders
lets event time go on, and a producer of history says where it ends.

A pure state machine: wall-clock time is passed by the caller, and is used for idleness alone. Results do not depend on
it unless a partition that was idle returns with records that are late then (docs/state.md#late-records).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

END_OF_STREAM_MS = 4_102_444_800_000
"""2100-01-01, after which no record may be: a heartbeat with this timestamp, or a later one, ends its partition."""
ENDED_MS = 2**63 - 2
"""The watermark when all partitions have ended: the last before Flink's own of a bounded input."""


@dataclass(frozen=True, slots=True)
class WatermarkBounds:
    """`lateness_ms`: how far behind the newest record of a partition another may be and not be late (bounded
    out-of-orderness), by stream. `idle_after_s`: after how long without records a partition no longer holds back event
    time (None: never)."""

    lateness_ms: Mapping[str, int]
    idle_after_s: float | None = 60.0


@dataclass(slots=True)
class _Newest:
    """The latest moments (ms) that two different speakers have named, in a span of wall-clock time."""

    first_ms: int | None = None
    first_speaker: str | None = None
    second_ms: int | None = None

    def add(self, at_ms: int, speaker: str | None) -> None:
        if self.first_ms is None or (speaker == self.first_speaker and at_ms > self.first_ms):
            self.first_ms, self.first_speaker = at_ms, speaker
        elif speaker == self.first_speaker:
            return
        elif at_ms > self.first_ms:
            self.second_ms = self.first_ms
            self.first_ms, self.first_speaker = at_ms, speaker
        elif self.second_ms is None or at_ms > self.second_ms:
            self.second_ms = at_ms

    def merged(self, other: _Newest) -> _Newest:
        """Of both spans together."""
        both = _Newest(self.first_ms, self.first_speaker, self.second_ms)
        for at_ms, speaker in ((other.first_ms, other.first_speaker), (other.second_ms, None)):
            if at_ms is not None:
                both.add(at_ms, speaker)
        return both

    @property
    def agreed_ms(self) -> int | None:
        """The later moment that two name; where one speaks alone, the latest of his."""
        return self.first_ms if self.second_ms is None else self.second_ms


RESUME_S = 5.0
"""For so long after an outage event time stands still, until other tasks read again, too."""
_SPAN_S = 30.0
"""Speakers of this span of wall-clock time and the one before are compared: one who has gone is not waited for."""


@dataclass(slots=True)
class _Partition:
    lateness_ms: int
    last_record_s: float
    """When its last record or heartbeat came, or since when it is read."""
    reached_ms: int | None = None
    span_began_s: float = 0.0
    now: _Newest = field(default_factory=_Newest)
    before: _Newest = field(default_factory=_Newest)

    def reach(self, at_ms: int) -> None:
        self.reached_ms = at_ms if self.reached_ms is None else max(self.reached_ms, at_ms)


class PartitionWatermarks:
    """The watermark over the partitions that one task reads, all of them from `now_s` on."""

    def __init__(self, partitions: Iterable[tuple[str, int]], bounds: WatermarkBounds, now_s: float) -> None:
        """`partitions`: stream and number of each."""
        self._bounds = bounds
        self._partitions = {key: _Partition(bounds.lateness_ms[key[0]], now_s) for key in partitions}
        self._watermark_ms: int | None = None
        self._last_record_s = now_s
        self._resumed_s: float | None = None

    def observe(self, stream: str, partition: int, spoken: Mapping[str, int], now_s: float) -> None:
        """Takes some records of a partition: by speaker, the latest moment (ms) to which he moves event time."""
        state = self._state(stream, partition, now_s)
        if now_s - state.span_began_s >= _SPAN_S:
            recent = now_s - state.span_began_s < 2 * _SPAN_S
            state.before, state.now, state.span_began_s = state.now if recent else _Newest(), _Newest(), now_s
        for speaker, at_ms in spoken.items():
            state.now.add(at_ms, speaker)
        agreed_ms = state.now.merged(state.before).agreed_ms
        if agreed_ms is not None:
            state.reach(agreed_ms - state.lateness_ms - 1)

    def beat(self, stream: str, partition: int, stamp_ms: int, now_s: float) -> None:
        """Takes a heartbeat."""
        state = self._state(stream, partition, now_s)
        state.reach(ENDED_MS if stamp_ms >= END_OF_STREAM_MS else stamp_ms - 1)

    def at(self, now_s: float) -> int | None:
        """The watermark (ms), which never goes back; None until every partition that is not idle has said something.

        Where all partitions are idle it does not advance: a broker may be down, and its records will come later. When
        they do, each partition has as long as `idle_after_s` to come back, too.
        """
        if self._resumed_s is not None and now_s - self._resumed_s < RESUME_S:
            return self._watermark_ms
        idle_after_s = self._bounds.idle_after_s
        active = [
            state
            for state in self._partitions.values()
            if idle_after_s is None or state.reached_ms == ENDED_MS or now_s - state.last_record_s < idle_after_s
        ]
        reached = [state.reached_ms for state in active if state.reached_ms is not None]
        if active and len(reached) == len(active):
            lowest_ms = min(reached)
            self._watermark_ms = lowest_ms if self._watermark_ms is None else max(self._watermark_ms, lowest_ms)
        return self._watermark_ms

    def _state(self, stream: str, partition: int, now_s: float) -> _Partition:
        """Of a partition from which something has come; one that was added to its topic after the job began takes part
        from its first record on."""
        idle_after_s = self._bounds.idle_after_s
        if idle_after_s is not None and now_s - self._last_record_s >= idle_after_s:
            self._resumed_s = now_s
            for each in self._partitions.values():
                each.last_record_s = now_s
        key = (stream, partition)
        if key not in self._partitions:
            self._partitions[key] = _Partition(self._bounds.lateness_ms[stream], now_s)
        self._last_record_s = self._partitions[key].last_record_s = now_s
        return self._partitions[key]
