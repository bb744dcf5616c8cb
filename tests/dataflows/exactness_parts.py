"""What the machine of `test_exactness` is made of: events, plain sums, and a stateful step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

from dataflows.panes import Pane
from models.observation import EXPRESSIONS, SENTIMENTS, Observation

WINDOWS = (10, 60, 120)
LATENESS_S = 120
KEPT_S = 180  # as little as the settings allow beside these
IDLE_S = KEPT_S + max(WINDOWS)
PARTITIONS = 3
AHEAD_MS = 5000
AHEAD_OF_ALL = "w"  # its clock is wrong
AHEAD_OF_ALL_MS = 2_000_000
SOURCES = ("a", "b", "c|60", AHEAD_OF_ALL)
READERS = 2
START_MS = 6_000_000


# Partition, source, how far the clock goes on and how far behind it the event is (ms), faces.
Arrival = tuple[int, str, int, int, tuple[Observation, ...]]


class Put(NamedTuple):
    """An event on the topic, and whether it counts by the order in its partition."""

    source: str
    time_ms: int
    faces: tuple[Observation, ...]
    counts: bool

    @property
    def minute(self) -> int:
        return self.time_ms // 60_000 * 60


observations = st.builds(
    Observation,
    st.sampled_from(SENTIMENTS),
    st.integers(-1000, 1000),
    st.integers(0, 1000),
    st.sampled_from([*EXPRESSIONS, None]),
)
arrivals = st.tuples(
    st.integers(0, PARTITIONS - 1),
    st.sampled_from(SOURCES),
    st.sampled_from([0, 0, 400, 1000, 7000, 61_000, 150_000, 400_000]),  # the clock goes on
    st.one_of(st.just(0), st.integers(0, 20_000), st.integers(0, KEPT_S * 1000)),  # and is behind
    st.lists(observations, max_size=2).map(tuple),
)
orders_of_reading = st.lists(st.integers(0, PARTITIONS - 1), min_size=4, max_size=30)
# By seed, since a choice at a time would take too long.
randoms = st.randoms(use_true_random=True)


def plain(events: Iterable[Put]) -> dict[tuple[int, str, int], Pane]:
    """Add up by resolution, source and bucket."""
    groups: dict[tuple[int, str, int], list[Put]] = defaultdict(list)
    for event in events:
        for source in (event.source, "*"):
            for seconds in (1, 10, 60):
                start = event.time_ms // 1000 // seconds * seconds
                groups[seconds, source, start].append(event)
    return {key: plain_pane(group) for key, group in groups.items()}


def plain_pane(events: list[Put]) -> Pane:
    faces = [face for event in events for face in event.faces]
    sides = [face.sentiment for face in faces]
    shown = [face.expression for face in faces]
    return Pane(
        len(faces),
        len(events),
        sum(face.valence for face in faces),
        sum(face.valence * face.valence for face in faces),
        sum(face.confidence for face in faces),
        *(sides.count(side) for side in ("negative", "neutral", "positive")),
        *(shown.count(name) for name in EXPRESSIONS),
    )


def plain_head(events: Iterable[Put]) -> int:
    """Return the second until which two sources have come, or the only one (epoch s)."""
    newest: dict[str, int] = {}
    for event in events:
        newest[event.source] = max(event.time_ms, newest.get(event.source, 0))
    return min(sorted(newest.values())[-2:], default=0) // 1000


def plain_window(panes: dict[int, Pane], window: int, head: int | None) -> tuple[int, Pane]:
    """Return where a window ends, and its sums."""
    end = max(bucket for bucket in panes if head is None or bucket <= head)
    inside = [pane for bucket, pane in panes.items() if end - window < bucket <= end]
    return end, Pane(*map(sum, zip(*inside, strict=True)))


@dataclass
class Stage:
    """One stateful step: its logics by key, and what is on the way to them, by key and sender."""

    build: Callable[[Any], Any]
    logics: dict[str, Any] = field(default_factory=dict)
    inbox: dict[str, dict[str, list[Any]]] = field(default_factory=dict)

    def put(self, key: str, sender: str, value: object) -> None:
        self.inbox.setdefault(key, {}).setdefault(sender, []).append(value)

    def take(self, key: str, random: Random) -> list[Any]:
        """Take some of what is there for a key; only each sender's own order is certain."""
        senders, values = self.inbox[key], []
        for _ in range(random.randint(1, sum(map(len, senders.values())))):
            sender = random.choice(list(senders))
            values.append(senders[sender].pop(0))
            if not senders[sender]:
                del senders[sender]
        if not senders:
            del self.inbox[key]
        return values

    def run(self, key: str, values: list[Any]) -> list[tuple[str, Any]]:
        logic = self.logics.setdefault(key, None) or self.build(None)
        out, discard = logic.on_batch(values)
        self.logics[key] = logic
        if discard:
            del self.logics[key]
        return [(key, value) for value in out]

    def resume(self, states: dict[str, Any]) -> None:
        self.inbox.clear()
        self.logics = {key: self.build(state) for key, state in states.items()}
