"""What the steps write equals plain sums, whatever the batches, orders, crashes and losses.

A machine does to the steps what Bytewax does, in all the orders that Bytewax leaves open: several
readers and minutes speak on their own ways, each in its own order, and nothing else is ordered.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from itertools import chain
from random import Random

from exactness_parts import (
    AHEAD_MS,
    AHEAD_OF_ALL,
    AHEAD_OF_ALL_MS,
    IDLE_S,
    KEPT_S,
    LATENESS_S,
    PARTITIONS,
    READERS,
    SOURCES,
    START_MS,
    WINDOWS,
    Arrival,
    Put,
    Stage,
    arrivals,
    orders_of_reading,
    plain,
    plain_head,
    plain_window,
    randoms,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from dataflows import steps, worker
from dataflows.blocks import Order, Partial
from dataflows.contract import Envelope, Record
from dataflows.events import Event
from dataflows.lateness import Lateness
from dataflows.panes import Pane
from dataflows.rolling import Update


class Flow(RuleBasedStateMachine):
    """The topic, the flow and a dictionary that plays Redis."""

    @initialize()
    def begin(self) -> None:
        self.topic: list[list[Put]] = [[] for _ in range(PARTITIONS)]
        self.clock_ms = START_MS
        self.newest: list[dict[str, int]] = [{} for _ in range(PARTITIONS)]  # for who counts
        self.redis: dict[tuple[int, str, int], Pane] = {}
        self.rolling: dict[tuple[str, int], tuple[int, Pane]] = {}
        self.lost = self.telling = False
        self.opened = Stage(lambda state: steps.OpenMinutesLogic(KEPT_S, IDLE_S, state))
        self.minutes = Stage(steps.MinuteLogic)
        self.windows = Stage(lambda state: steps.RollingLogic(WINDOWS, KEPT_S, state))
        self.stages = (self.opened, self.minutes, self.windows)
        self.offsets = [0] * PARTITIONS
        self.lateness = [Lateness(LATENESS_S * 1000, KEPT_S * 1000) for _ in range(PARTITIONS)]
        self.known: dict[tuple[int, str, int], Pane] = {}  # what the flow has written, in its view
        worker._by_thread.clear()
        self.produce([(0, "a", 0, 0, ()), (0, "b", 0, 0, ())])
        self.read([0, 0])
        self.epoch(Random(0))

    @rule(arrivals=st.lists(arrivals, min_size=4, max_size=20))
    def produce(self, arrivals: list[Arrival]) -> None:
        for partition, source, step_ms, behind_ms, faces in arrivals:
            self.clock_ms += step_ms
            time_ms, newest = self.clock_ms - behind_ms, self.newest[partition]
            time_ms += AHEAD_OF_ALL_MS if source == AHEAD_OF_ALL else 0
            counts = newest.get(source, time_ms) - time_ms <= LATENESS_S * 1000
            if counts:
                newest[source] = max(time_ms, newest.get(source, time_ms))
            self.topic[partition].append(Put(source, time_ms, faces, counts))

    @rule(order=orders_of_reading)
    def read(self, order: list[int]) -> None:
        """Read one batch, as far as partitions stay within what is kept of each other."""
        batches: list[list[Event]] = [[] for _ in range(READERS)]
        for partition in order:
            offset = self.offsets[partition]
            if offset == len(self.topic[partition]):
                continue
            put = self.topic[partition][offset]
            read = [self.put_of(event) for batch in batches for event in batch]
            # A wrong clock moves its own horizon alone.
            moves = {put.source} if put.source == AHEAD_OF_ALL else {"*", *SOURCES}
            if put.counts and min(self.waiting([*read, put], moves)) < put.minute - KEPT_S:
                break
            self.offsets[partition] += 1
            late = self.lateness[partition].is_late(put.source, put.time_ms)
            assert late is not put.counts
            if put.counts:
                record = Record("t", partition, offset, None, None, (), put.time_ms)
                envelope = Envelope(record, "", put.source, put.time_ms, None)
                batches[partition % READERS].append(Event(envelope, put.faces, ""))
        for reader, batch in enumerate(batches):
            for source, partial in steps.partial_sums(AHEAD_MS, batch):
                self.opened.put(source, f"reader {reader}", partial)

    @staticmethod
    def put_of(event: Event) -> Put:
        return Put(event.envelope.source, event.envelope.time_ms, event.observations, True)

    def waiting(self, read: list[Put], sources: set[str]) -> Iterator[int]:
        """Return the minutes of what is to count and has not been counted, of these sources."""
        left = [puts[offset:] for puts, offset in zip(self.topic, self.offsets, strict=True)]
        for put in (*read, *chain.from_iterable(left)):
            if put.counts and put.source in sources:
                yield put.minute
        for senders in self.opened.inbox.values():
            for value in (value for values in senders.values() for value in values):
                if isinstance(value, Partial) and value.source in sources:
                    yield min(value.panes) // 60 * 60

    @rule(random=randoms, times=st.integers(1, 40))
    def work(self, random: Random, times: int) -> None:
        """Let some of what is on the way arrive."""
        for _ in range(times):
            ready = [stage for stage in self.stages if stage.inbox]
            if ready:
                stage = random.choice(ready)
                self.run_key(stage, random.choice(list(stage.inbox)), random)

    def run_key(self, stage: Stage, key: str, random: Random) -> None:
        for item in stage.run(key, stage.take(key, random)):
            if stage is self.opened:
                minute, told = steps.by_minute(item)
                self.minutes.put(minute, key, told)
            elif stage is self.minutes:
                source, change = steps.by_source(item)
                self.windows.put(source, key, change)
            else:
                self.write(*item)

    def write(self, source: str, update: Update) -> None:
        for resolution, panes in update.panes.items():
            for bucket, pane in panes.items():
                self.redis[resolution, source, bucket] = pane
                self.known[resolution, source, bucket] = pane
        seen = {
            at: pane for (res, name, at), pane in self.known.items() if (res, name) == (1, source)
        }
        for window, pane in update.rolling.items():
            # How far all sources are together is seen at the end.
            head = update.as_of if source == "*" else None
            assert (update.as_of, pane) == plain_window(seen, window, head)
            self.rolling[source, window] = update.as_of, pane

    @rule(random=randoms)
    def epoch(self, random: Random) -> None:
        """All arrives; then comes a snapshot, and what is known is what was read."""
        while any(stage.inbox for stage in self.stages):
            self.work(random, 1)
        if not worker.this_worker().resumed:
            self.telling = False
        if not self.telling:
            state = {key.rpartition("|")[::2] for key in self.minutes.logics}
            kept = {k for k in self.known if (k[1], str(k[2] // 60 * 60)) in state}
            assert kept <= self.redis.keys()
        assert self.known == plain(
            put
            for partition, offset in enumerate(self.offsets)
            for put in self.topic[partition][:offset]
            if put.counts
        )
        states = [{k: logic.snapshot() for k, logic in s.logics.items()} for s in self.stages]
        newest = [lateness.snapshot() for lateness in self.lateness]
        self.saved = pickle.dumps((self.offsets, newest, states, self.known))

    @rule(random=randoms)
    def crash(self, random: Random) -> None:
        """Go back to the last snapshot; what is in Redis stays."""
        worker._by_thread.clear()
        self.offsets, newest, states, self.known = pickle.loads(self.saved)  # noqa: S301
        self.lateness = [Lateness(LATENESS_S * 1000, KEPT_S * 1000, known) for known in newest]
        for stage, state in zip(self.stages, states, strict=True):
            stage.resume(state)
        self.work(random, 1)

    @rule()
    def restore(self) -> None:
        """Give the orders that come first after a restart."""
        this = worker.this_worker()
        for source in this.resumed:
            self.opened.put(source, "orders", Order.RESTORE)
        if this.resumed and self.telling:
            self.tell()
        this.resumed.clear()

    def tell(self) -> None:
        for source in worker.this_worker().sources:
            self.opened.put(source, "orders", Order.TELL)

    @rule()
    def lose(self) -> None:
        """Redis loses everything."""
        self.restore()
        self.redis.clear()
        self.rolling.clear()
        self.lost = self.telling = True
        self.tell()

    @rule()
    def leave(self) -> None:
        """Ask idle sources to go."""
        self.restore()
        this = worker.this_worker()
        horizon_ms = (this.head.shared_ms // 60_000 * 60 - IDLE_S) * 1000
        for source, newest_ms in this.sources.items():
            if newest_ms < horizon_ms and source != "*":
                self.opened.put(source, "orders", Order.LEAVE)

    @rule(arrivals=st.lists(arrivals, min_size=10, max_size=20), random=randoms)
    def live(self, arrivals: list[Arrival], random: Random) -> None:
        """Many steps at once, since single ones seldom meet in the order that matters."""
        quiet = arrivals[0]
        self.produce([arrival for arrival in arrivals if arrival[1] != quiet[1]])
        for _ in range(25):
            step = random.choice("rrrrwwwwwwecooxl")
            if step == "r":
                self.read(random.choices(range(PARTITIONS), k=random.randint(1, 5)))
            elif step in "wec":
                {"w": lambda r: self.work(r, 4), "e": self.epoch, "c": self.crash}[step](random)
            elif step == "o":
                self.restore()
            elif step == "x":
                self.lose()
            else:
                self.leave()
                self.work(random, 4)
                self.produce([(*quiet[:3], 0, quiet[4])])  # it comes back
                self.read([quiet[0]])

    def teardown(self) -> None:
        """Read to the end; then all is as the plain sums say."""
        if not hasattr(self, "saved"):
            return
        random = Random(0)
        self.restore()
        while any(
            offset < len(puts) for offset, puts in zip(self.offsets, self.topic, strict=True)
        ):
            self.work(random, 100)
            self.read(random.choices(range(PARTITIONS), k=6))
        self.epoch(random)
        panes = plain(put for puts in self.topic for put in puts if put.counts)
        held = dict(panes)
        if self.lost:
            # Redis cannot get back what had left the state.
            state = {key: key.rpartition("|") for key in self.minutes.logics}
            kept = {(source, int(minute)) for source, _, minute in state.values()}
            held = {k: pane for k, pane in panes.items() if (k[1], k[2] // 60 * 60) in kept}
            assert self.redis.items() >= held.items()
        assert self.redis.items() <= panes.items()
        assert self.lost or self.redis == panes
        head = plain_head(put for puts in self.topic for put in puts if put.counts)
        for source in {source for _, source, _ in held}:
            seen = {
                at: pane for (res, name, at), pane in panes.items() if (res, name) == (1, source)
            }
            for window in WINDOWS:
                expected = plain_window(seen, window, head if source == "*" else None)
                assert self.rolling[source, window] == expected


# A failure is made small before it is shown, for which Hypothesis takes up to five minutes.
TestExactness = Flow.TestCase
TestExactness.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
