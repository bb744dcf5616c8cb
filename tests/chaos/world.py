"""A topic, its flow and what has come of it, compared with the oracle."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import redis
from oracle import SUMS, WINDOWS_S, Expected, expected
from streams import Sent, Stream, recovery
from waiting import PATIENCE_S, wait_for


class Running(Protocol):
    """What runs the flow: one process, or several."""

    def check(self) -> None:
        """Fail if it has ended for good."""

    def said(self) -> str:
        """Return what it has printed."""


class World:
    """A stream with a recovery store; its flow may be killed as often as one likes."""

    def __init__(self, stream: Stream, directory: Path) -> None:
        self.stream = stream
        self.options = recovery(directory / "recovery")

    def send(self, events: list[Sent]) -> None:
        """Put events on the topic."""
        self.stream.send(events)

    def oracle(self) -> Expected:
        """Compute what has to come of the topic as it is now."""
        kafka = self.stream.settings.kafka
        return expected(kafka.brokers, kafka.topic)

    def difference(self, world: Expected) -> str:
        """Return the first difference between Redis and the oracle; nothing if there is none."""
        return self._ends_differ(world) or self._panes_differ(world)

    def _ends_differ(self, world: Expected) -> str:
        """Compare newest times and rolling windows, which takes little and is late to be right."""
        stream = self.stream
        newest = dict(stream.redis.zrange(stream.keys.sources, 0, -1, withscores=True))
        if newest != world.newest_ms:
            return f"sources are {newest}, not {world.newest_ms}"
        pipeline = stream.redis.pipeline(transaction=False)
        for source, window in world.rolling:
            pipeline.hgetall(stream.keys.rolling(source, window))
        for ((source, window), (end, sums)), fields in zip(
            world.rolling.items(), pipeline.execute(), strict=True
        ):
            wanted = {"as_of": end} | {name: sums[name] for name in SUMS}
            if {name: int(fields.get(name, -1)) for name in wanted} != wanted:
                return f"the last {window} s of {source} are {fields}, not {wanted}"
        return ""

    def _panes_differ(self, world: Expected) -> str:
        for resolution in (1, 10, 60):
            found = self.stream.panes(resolution)
            wanted = {
                (source, bucket): tuple(sums[name] for name in SUMS)
                for (r, source, bucket), sums in world.panes.items()
                if r == resolution
            }
            if found.keys() != wanted.keys():
                return f"{len(found.keys() ^ wanted.keys())} panes of {resolution} s too many/few"
            for key, sums in wanted.items():
                if tuple(found[key]) != sums:
                    return f"pane {key} of {resolution} s is {tuple(found[key])}, not {sums}"
        return ""

    def settle(self, flow: Running, world: Expected, patience_s: float = PATIENCE_S) -> float:
        """Wait until Redis is as the oracle says, and return how long that took in seconds.

        The comparison that finds no difference is left out: it takes seconds when there are many
        panes.
        """
        began = time.monotonic()
        while True:
            elapsed = time.monotonic() - began
            try:
                difference = self.difference(world)
            except redis.RedisError as error:
                difference = str(error)
            if not difference:
                return elapsed
            flow.check()
            assert elapsed < patience_s, f"{difference}\n{flow.said()}"
            time.sleep(0.2)

    def check_dead_letters(self, world: Expected) -> int:
        """Check that there are all dead letters, and return how many were written again.

        A crash may write those of its last second again; each has the place of its event.
        """
        written = self.dead_letters(world)
        assert written.keys() == world.rejected.keys()
        return written.total() - len(written)

    def dead_letters(self, world: Expected) -> Counter[tuple[int, int]]:
        """Check the dead letters that there are, and return how often each was written."""
        kafka = self.stream.settings.kafka
        written: Counter[tuple[int, int]] = Counter()
        for record in self.stream.records(kafka.dlq_topic):
            headers = dict(record.headers() or [])
            assert headers["x-topic"] == kafka.topic.encode()
            place = int(headers["x-partition"] or -1), int(headers["x-offset"] or -1)
            assert world.rejected.get(place) == (headers["x-reason"] or b"").decode(), place
            written[place] += 1
        return written

    def run_until(
        self, world: Expected, kills: int, generator: random.Random, longest_s: float
    ) -> int:
        """Start the flow and kill it so many times at random moments, then let it settle.

        Returns:
            How many dead letters were written again.
        """
        for _ in range(kills):
            with self.stream.flow(*self.options) as flow:
                flow.wait_started()
                time.sleep(generator.random() * longest_s)
                flow.check()
                flow.process.kill()
                flow.process.wait()
        with self.stream.flow(*self.options) as flow:
            self.settle(flow, world)
        return self.check_dead_letters(world)

    def wait(
        self, flow: Running, ready: Callable[[], bool], patience_s: float = PATIENCE_S
    ) -> None:
        """Wait until something is so."""
        wait_for(ready, flow.said, flow.check, patience_s)


__all__ = ["WINDOWS_S", "Running", "World"]
