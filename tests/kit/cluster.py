"""The streaming job on a simulated cluster: Flink's process functions of the job under the rules by which Flink hands
on elements and watermarks, without a JVM, so that every order in which they may arrive can be tried, and repeated.

Every operator has `parallelism` subtasks, and a queue leads from each subtask to each of the next operator. Chance
decides whose turn it is: some subtasks fall behind for a while, or take long for a bundle. A subtask's watermark is the
lowest of its queues'. As in PyFlink a watermark that comes while a bundle is processed waits for its end: elements that
were sent after it are processed before it, and of several that wait only the last counts. Timers fire before a
watermark is handed on.

A job that is restored from an unaligned checkpoint has its keyed state, its timers and all that was in flight; no
subtask knows of a watermark, and the source goes on behind the last part that it gave.
"""

from __future__ import annotations

from collections import defaultdict, deque

from monsoon.pipelines.flink.graph import split_row
from monsoon.pipelines.flink.keys import MAX_PARALLELISM, key_group
from monsoon.pipelines.flink.process_functions import (
    ReadSplits,
    StreamingOperatorFunction,
    control_messages,
    message_row,
    tags_to,
)
from monsoon.pipelines.flink.result_collector import CollectedResults
from monsoon.pipelines.operators.validate import Validate
from monsoon.pipelines.runtime.keyed_operator import END_OF_TIME_MS
from monsoon.pipelines.runtime.messages import RESULTS
from monsoon.pipelines.topology import OperatorFactory, operators_of
from monsoon.transforms.scoring import ModelSchedule

NO_WATERMARK = -(2**63)
SOURCE = ("source", 0)


class Job:
    """One job, from its first part to the end of time; `restart` it where you like."""

    def __init__(self, settings, parts, chance, parallelism=2, scorer=None, control=None):
        """`parts` as `pipelines.flink.file_splits` gives them; `chance` decides whose turn it is; `control` is a
        ControlInput that operators take changes over from."""
        self.control = control
        self.settings, self.parts, self.chance, self.scorer = settings, parts, chance, scorer
        self.given = 0
        self.results = []
        self.queues = defaultdict(deque)
        self.kept = defaultdict(lambda: defaultdict(dict))
        """Keyed state, by operator and key."""
        self.timers = defaultdict(lambda: defaultdict(set))
        self._start(parallelism)

    def _start(self, parallelism):
        self.parallelism = parallelism
        factory = OperatorFactory(self.settings)
        if self.scorer is not None:
            factory._models = ModelSchedule(self.scorer)
        operators = operators_of(self.settings)
        there = {operator.uid for operator in operators}
        functions = {Validate.uid: (Validate.to, lambda: ReadSplits(self.settings))}
        for operator in operators:
            functions[operator.uid] = (
                operator.to,
                lambda operator=operator: StreamingOperatorFunction(operator, self.settings, self.control),
            )
        self.subtasks = {}
        for uid, (to, function) in functions.items():
            for number in range(parallelism):
                receivers = [each for each in to if each in there]
                subtask = _Subtask(self, uid, number, receivers, function())
                if uid != Validate.uid and self.scorer is not None:
                    subtask.function._factory = factory
                self.subtasks[uid, number] = subtask
        for sender in [SOURCE, *self.subtasks]:
            receivers = [Validate.uid] if sender == SOURCE else self.subtasks[sender].receivers
            for uid in receivers:
                for number in range(parallelism):
                    self.subtasks[uid, number].watermarks[sender] = NO_WATERMARK
        self.low_ms = None
        """What the source knows of its last part, since it started."""
        self.behind, self.busy = set(), set()
        self.given = min(self.given, len(self.parts))  # the end is told again

    def restart(self, parallelism=None):
        """Killed, and restored from a checkpoint of this moment; at another parallelism nothing may be on its way."""
        for subtask in self.subtasks.values():
            while subtask.at_work:
                subtask.go_on()
        if parallelism not in (None, self.parallelism):
            assert not any(self.queues.values())
        self._start(parallelism or self.parallelism)

    def run(self, turns=None):
        """So many turns, or to the end."""
        while turns is None or turns > 0:
            if self.chance.random() < 0.01:
                self.behind, self.busy = self._some(), self._some()
            if not self._turn():
                if not (self.behind or self.busy):
                    return
                self.behind, self.busy = set(), set()
            turns = None if turns is None else turns - 1

    def settle(self, behind=(), busy=()):
        """Until only subtasks that are behind, or busy with a bundle, have anything to do; the source gives nothing."""
        while True:
            self.behind, self.busy = set(behind), set(busy)
            while self._turn(source=False):
                pass
            if self.busy == set(busy):  # else timers kept others busy as well
                return

    def give(self):
        """The source gives its next part."""
        planned = self.parts[self.given]
        self.low_ms = planned.low_ms
        to = (Validate.uid, self.given % self.parallelism)
        self.queues[SOURCE, to].append(("element", split_row(planned)))
        self.given += 1

    def tell(self, changes, number):
        """A subtask that reads says that the configuration has so many changes."""
        subtask = self.subtasks[Validate.uid, number]
        told, tags = control_messages(Validate.to, changes, self.settings), tags_to(Validate.to)
        subtask._send((tags[message.to], message_row(message, self.settings.buckets)) for message in told)

    def mark(self, ms):
        """The source gives a watermark."""
        for name in self.subtasks_of([Validate.uid]):
            self.queues[SOURCE, name].append(("watermark", ms))

    def subtasks_of(self, uids):
        """The names of all subtasks of some operators."""
        return [(uid, number) for uid in uids for number in range(self.parallelism)]

    @property
    def ended(self):
        """Whether all has been read and handed on."""
        return self.given > len(self.parts) and not any(self.queues.values())

    def collected(self):
        return CollectedResults.of(self.results)

    def _turn(self, source=True):
        at_work = [(name, subtask) for name, subtask in self.subtasks.items() if subtask.at_work]
        ready = [subtask for name, subtask in at_work if name not in self.busy]
        names = self.behind | {name for name, subtask in at_work if subtask.worked_ms is not None}
        ready += [queue for queue, elements in self.queues.items() if elements and queue[1] not in names]
        if source and self.given <= len(self.parts) and sum(map(len, self.queues.values())) < 400:
            ready += [SOURCE] * 3
        if not ready:
            return False
        turn = self.chance.choice(ready)
        if turn == SOURCE:
            self._give()
        elif isinstance(turn, _Subtask):
            turn.go_on()
        else:
            self.subtasks[turn[1]].take(turn[0], self.queues[turn].popleft())
        return True

    def _some(self):
        few = self.chance.randint(0, len(self.subtasks) // 3)
        return set(self.chance.sample(list(self.subtasks), few))

    def _give(self):
        """The next part, or a watermark: by the clock, and so not after every part."""
        if self.low_ms is not None and self.chance.random() < 0.5:
            self.mark(self.low_ms - 1)
        if self.given < len(self.parts):
            self.give()
        else:
            self.mark(END_OF_TIME_MS)
            self.given += 1


class _Subtask:
    """One subtask of an operator; the context, the runtime's and the timer service of its function as well."""

    def __init__(self, job, uid, number, receivers, function):
        self.job, self.uid, self.number, self.receivers, self.function = job, uid, number, receivers, function
        self.watermarks = {}
        """By sender."""
        self.reached = self.watermark = NO_WATERMARK
        self.waiting = None
        """The watermark that waits for the bundle to end."""
        self.worked_ms = None
        """The one whose timers have fired, and that is to be handed on."""
        self.key = None
        function.open(self)

    def take(self, sender, element):
        """What is first in the queue from there."""
        kind, value = element
        if kind == "element":
            if self.uid == Validate.uid:
                self._send(self.function.process_element(value, self))
            else:
                self.key, item = value[0], value[1]
                self._send(self.function.process_element(item, self))
            return
        self.watermarks[sender] = value
        least = min(self.watermarks.values())
        if least <= self.reached:
            return
        self.reached = least
        if least == END_OF_TIME_MS:
            while self.at_work:
                self.go_on()
            self._work(least)
        elif self.waiting is not None or (self.uid, self.number) in self.job.busy or self.job.chance.random() < 0.2:
            self.waiting = least
        else:
            self._work(least)

    @property
    def at_work(self):
        """Whether a bundle or timers keep it from handing on a watermark."""
        return self.waiting is not None or self.worked_ms is not None

    def go_on(self):
        """The timers have been worked off, or the bundle has."""
        if self.worked_ms is not None:
            self._hand_on()
        else:
            least, self.waiting = self.waiting, None
            self._work(least)

    def _work(self, ms):
        """Fires timers; where these had much to say, others have their turn before the watermark goes on."""
        self.watermark = self.worked_ms = ms
        timers, sent = self.job.timers[self.uid], 0
        mine = [key for key in timers if self._number_of(key) == self.number]
        while due := sorted((timer, key) for key in mine for timer in timers[key] if timer <= ms):
            timer, self.key = due[0]
            timers[self.key].discard(timer)
            sent += self._send(self.function.on_timer(timer, self))
        if sent:
            self.job.busy.add((self.uid, self.number))
        else:
            self._hand_on()

    def _hand_on(self):
        ms, self.worked_ms = self.worked_ms, None
        for uid in self.receivers:
            for number in range(self.job.parallelism):
                self._queue((uid, number)).append(("watermark", ms))

    def _send(self, outputs):
        sent = 0
        for tag, row in outputs:
            sent += 1
            if tag.tag_id == RESULTS:
                self.job.results.append((row[1], row[2]))
            else:
                self._queue((tag.tag_id, self._number_of(row[0]))).append(("element", row))
        return sent

    def _queue(self, receiver):
        return self.job.queues[(self.uid, self.number), receiver]

    def _number_of(self, key):
        return key_group(key) * self.job.parallelism // MAX_PARALLELISM

    # What the function sees.

    def get_current_key(self):
        return self.key

    def timer_service(self):
        return self

    def current_watermark(self):
        return self.watermark

    def register_event_time_timer(self, ms):
        self.job.timers[self.uid][self.key].add(ms)

    def get_map_state(self, descriptor):
        return _MapState(self, descriptor.name)


class _MapState:
    """The entries of the key that is at work, of the state of one name."""

    def __init__(self, subtask, name):
        self._subtask, self._name = subtask, name

    @property
    def _entries(self):
        return self._subtask.job.kept[self._subtask.uid, self._name][self._subtask.key]

    def get(self, name):
        return self._entries.get(name)

    def items(self):
        return list(self._entries.items())

    def put(self, name, payload):
        self._entries[name] = payload

    def remove(self, name):
        self._entries.pop(name, None)
