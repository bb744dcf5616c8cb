"""What `infra.bench_panes` measures with: events, and flows without Kafka and Redis."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream, windowing
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import TestingSource

from dataflows.blocks import MINUTE_S, Order
from dataflows.contract import Envelope, Record, format_time
from dataflows.events import Event
from dataflows.keys import ALL_SOURCES
from dataflows.panes import EMPTY, Pane
from dataflows.rolling import Update
from dataflows.settings import Settings
from dataflows.updates import updates
from models.observation import EXPRESSIONS, observe_face

__all__ = [
    "START_S",
    "THEIR_LENGTH_S",
    "Load",
    "Tally",
    "our_flow",
    "probabilities",
    "their_flow",
]

START_S: Final = 1_780_000_020  # the start of a minute, in the past, since no event may be ahead
FACES: Final = 97  # different ones; a prime, so that each source gets all of them
THEIR_LENGTH_S: Final = 60
THEIR_OFFSET_S: Final = 1


@dataclass(frozen=True)
class Load:
    """Events with one face each, in the order of their time, of sources drawn by chance.

    Attributes:
        sources: how many there are.
        per_s: events of all sources in a second of event time.
    """

    sources: int
    per_s: int

    def events(self, count: int) -> list[Event]:
        """Return events as they are once they are scored."""
        faces = [observe_face(row) for row in probabilities()]
        return [
            Event(self._envelope(source, time_ms), (faces[face],), "")
            for source, time_ms, face in self._draw(count)
        ]

    def records(self, count: int) -> Iterator[Record]:
        """Yield the same events as Kafka records, scored at the edge."""
        faces = [dict(zip(EXPRESSIONS, row, strict=True)) for row in probabilities()]
        values = [json.dumps({"emotions": [face]}).encode() for face in faces]
        for source, time_ms, face in self._draw(count):
            headers = (
                ("ce_source", source.encode()),
                ("ce_time", format_time(time_ms).encode()),
                ("content-type", b"application/json"),
            )
            yield Record("", 0, 0, source.encode(), values[face], headers, time_ms)

    def _draw(self, count: int) -> Iterator[tuple[str, int, int]]:
        generator = random.Random(self.sources)  # noqa: S311 - no secret
        for index in range(count):
            source = f"camera-{generator.randrange(self.sources):05}"
            yield source, START_S * 1000 + index * 1000 // self.per_s, index % FACES

    @staticmethod
    def _envelope(source: str, time_ms: int) -> Envelope:
        record = Record("events", 0, 0, None, None, (), time_ms)
        return Envelope(record, "", source, time_ms, None)


def probabilities() -> list[tuple[float, ...]]:
    """Return probabilities of faces, with the four digits that a prediction has."""
    generator = random.Random(0)  # noqa: S311 - no secret
    rows = []
    for _ in range(FACES):
        weights = [generator.random() ** 4 for _ in EXPRESSIONS]
        rows.append(tuple(round(weight / sum(weights), 4) for weight in weights))
    return rows


class Tally(DynamicSink[Any], StatelessSinkPartition[Any]):
    """A sink that adds a number up over what it gets, and keeps nothing of it.

    A list of all that came would make the garbage collector ever slower.
    """

    def __init__(self, number: Callable[[Any], int]) -> None:
        self._number = number
        self.sum = 0

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Tally:
        """Return itself: there is one worker."""
        return self

    def write_batch(self, items: list[Any]) -> None:
        """Add the number of each item."""
        self.sum += sum(map(self._number, items))


def our_flow(
    settings: Settings, events: Iterable[Event | TestingSource.EOF]
) -> tuple[Dataflow, Tally]:
    """Return our flow from scored events to updates, as in `dataflows.sentiment`.

    The tally counts events: what the minutes of all sources have gained.
    """
    tally = Tally(_Gain())
    flow = Dataflow("ours")
    arrivals = op.input("events", flow, TestingSource(events, settings.batch))
    # No orders: there has been no restart, and no Redis has lost anything.
    orders: KeyedStream[Order] = op.input("orders", flow, TestingSource([]))
    op.output("out", updates(arrivals, orders, settings), tally)
    return flow, tally


class _Gain:
    """By how many events the minutes of all sources together have grown since the last look."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def __call__(self, item: tuple[str, Update]) -> int:
        source, update = item
        if source != ALL_SOURCES:
            return 0
        now = {start: pane.events for start, pane in update.panes[MINUTE_S].items()}
        gain = sum(events - self._known.get(start, 0) for start, events in now.items())
        self._known.update(now)
        return gain


def their_flow(settings: Settings, events: Sequence[Event]) -> tuple[Dataflow, Tally]:
    """Return Bytewax's own sliding windows of one minute, one of them each second.

    It is given what makes it fast: no waiting for late events, no order inside a window, no waking
    by the clock. The clock stands still, or events would be late whenever the flow is slower than
    event time. The tally counts each event once for each of the 60 windows that it is in.
    """
    tally = Tally(lambda item: item[1][1].events)
    start = datetime.fromtimestamp(START_S, UTC)
    flow = Dataflow("theirs")
    arrivals = op.input("events", flow, TestingSource(events, settings.batch))
    panes = op.map("pane", arrivals, _timed_pane)
    clock: windowing.EventClock[tuple[datetime, Pane]] = windowing.EventClock(
        ts_getter=lambda item: item[0],
        wait_for_system_duration=timedelta(0),
        now_getter=lambda: start,
        to_system_utc=lambda _: None,
    )
    windower = windowing.SlidingWindower(
        length=timedelta(seconds=THEIR_LENGTH_S),
        offset=timedelta(seconds=THEIR_OFFSET_S),
        align_to=start,
    )
    windows = windowing.fold_window(
        "windows",
        panes,
        clock,
        windower,
        builder=lambda: EMPTY,
        folder=lambda total, item: total.merge(item[1]),
        merger=Pane.merge,
        ordered=False,
    )
    op.output("out", windows.down, tally)
    return flow, tally


def _timed_pane(event: Event) -> tuple[str, tuple[datetime, Pane]]:
    time = datetime.fromtimestamp(event.envelope.time_ms / 1000, UTC)
    return event.envelope.source, (time, Pane.of(event.observations))
