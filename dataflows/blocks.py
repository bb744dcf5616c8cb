"""The exact part of the state: minutes of panes, and which minutes are still open.

A minute of one source is one unit of state, so that an event touches (and a snapshot writes)
little, however long the panes of its source are kept. What comes out are absolute values: a
replay writes the same ones again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from heapq import heappop, heappush
from typing import NamedTuple

from dataflows.keys import RESOLUTIONS_S
from dataflows.panes import Pane, Panes, pack, unpack

__all__ = [
    "Change",
    "Delta",
    "Leave",
    "Minute",
    "OpenMinutes",
    "Order",
    "Partial",
    "Restore",
    "horizon_s",
]

MINUTE_S = 60

OpenState = tuple[int, list[tuple[int, int, int]]]


@dataclass(slots=True)
class Partial:
    """Sums of a batch of events of one source.

    Attributes:
        source: of all of them.
        panes: by bucket (epoch s), for 1 s buckets.
        newest_ms: newest event time in the batch, epoch milliseconds.
        stamps_ms: timestamps of the records, for the latency; only in the partial of a source,
            not in that of all sources.
    """

    source: str
    panes: Panes = field(default_factory=dict)
    newest_ms: int = 0
    stamps_ms: list[int] = field(default_factory=list)


class Delta(NamedTuple):
    """What one minute of one source has to add."""

    panes: Panes
    newest_ms: int
    stamps_ms: list[int]


class Order(Enum):
    """What a source is told, or tells its minutes, besides what to add."""

    CLOSE = "close"  # a minute leaves the state
    LEAVE = "leave"  # an idle source lets all its minutes go
    RESTORE = "restore"  # tell the rolling windows what was there before a restart
    TELL = "tell"  # all panes once more, for a Redis that has lost them


class Restore(NamedTuple):
    """One of so many minutes of a source that tell what was there before a restart."""

    minutes: int


class Leave(NamedTuple):
    """One of so many minutes that leave the state together when this is the source's newest."""

    minutes: int
    newest_ms: int


def horizon_s(newest_ms: int, kept_s: int) -> int:
    """Return the start (epoch s) of the first minute that is kept beside this event time."""
    return newest_ms // 1000 // MINUTE_S * MINUTE_S - kept_s


class OpenMinutes:
    """Knows which minutes of one source are still in the state, and closes old ones.

    A minute is known in the state by a slot, a small number that later minutes use again: Bytewax
    keeps a row for every key that it has ever had, also when its state has ended.

    A minute is closed when it is `kept_s` behind the newest event of the source. Then nothing can
    change it any more that lateness has let through, unless partitions are further apart in event
    time than `kept_s`.
    """

    def __init__(self, kept_s: int, state: OpenState | None = None) -> None:
        """Start empty, or from what `snapshot` returned."""
        self._kept_s = kept_s
        self._newest_ms, runs = state or (0, [])
        self._slots = {
            first + i * MINUTE_S: slot + i for first, count, slot in runs for i in range(count)
        }
        taken = set(self._slots.values())
        self._free = set(range(max(taken, default=0))) - taken
        self._oldest_first = sorted(self._slots)  # a heap
        self._runs: list[tuple[int, int, int]] | None = None  # of the slots, once asked for
        self._closed: set[int] = set()  # slots, since the last snapshot

    def split(self, partial: Partial) -> tuple[dict[int, Delta], int]:
        """Cut a partial by minute.

        Returns:
            The deltas by start of the minute (epoch s), and how many events were further behind
            than panes are kept and therefore cannot be counted.
        """
        # As it was before: a gap of event time inside of a batch lets nothing of it expire.
        horizon = self._horizon()
        newest_ms = partial.newest_ms
        self._newest_ms = max(self._newest_ms, newest_ms)
        expired = 0
        minutes: dict[int, Panes] = {}
        for bucket, pane in partial.panes.items():
            minute = bucket - bucket % MINUTE_S
            panes = minutes.get(minute)
            if panes is None:
                if minute < horizon:
                    expired += pane.events
                    continue
                panes = minutes[minute] = {}
            panes[bucket] = pane
        newest = max(minutes, default=0)
        deltas = {}
        for minute in sorted(minutes):
            ends_ms = (minute + MINUTE_S) * 1000 - 1
            stamps_ms = partial.stamps_ms if minute == newest else []
            deltas[minute] = Delta(minutes[minute], min(newest_ms, ends_ms), stamps_ms)
            if minute not in self._slots:
                self._slots[minute] = self._take_slot()
                heappush(self._oldest_first, minute)
                self._runs = None
        return deltas, expired

    def slot(self, minute: int) -> int:
        """Return the number by which an open minute (start, epoch s) is known in the state."""
        return self._slots[minute]

    @property
    def newest_ms(self) -> int:
        """Newest event time of the source (epoch ms), 0 before the first event."""
        return self._newest_ms

    def close(self) -> list[int]:
        """Close the minutes that have left the state, and return their slots, the oldest first."""
        horizon, closed = self._horizon(), []
        while self._oldest_first and self._oldest_first[0] < horizon:
            closed.append(heappop(self._oldest_first))
        return self._release(closed) if closed else closed

    def leave(self) -> list[int]:
        """Close all minutes; return their slots, and others whose words may be on the way."""
        slots = self._release(self.newest_first())
        self._oldest_first.clear()
        return slots + sorted(self._closed.difference(slots)) if slots else slots

    def newest_first(self) -> list[int]:
        """Return the open minutes (start, epoch s), the newest one first."""
        return sorted(self._slots, reverse=True)

    def snapshot(self) -> OpenState:
        """Return the newest event time (ms) and runs of open minutes: first, count, first slot."""
        self._closed.clear()
        if self._runs is None:
            self._runs = self._in_runs()
        return self._newest_ms, self._runs

    def _in_runs(self) -> list[tuple[int, int, int]]:
        runs: list[tuple[int, int, int]] = []
        for minute, slot in sorted(self._slots.items()):
            first, count, first_slot = runs.pop() if runs else (minute, 0, slot)
            if (minute, slot) == (first + count * MINUTE_S, first_slot + count):
                runs.append((first, count + 1, first_slot))
            else:
                runs += [(first, count, first_slot), (minute, 1, slot)]
        return runs

    def _take_slot(self) -> int:
        # All numbers below the number of minutes are in use once none of them is free.
        slot = min(self._free, default=len(self._slots))
        self._free.discard(slot)
        return slot

    def _release(self, minutes: list[int]) -> list[int]:
        self._runs = None
        slots = [self._slots.pop(minute) for minute in minutes]
        self._free.update(slots)
        self._closed.update(slots)
        return slots

    def _horizon(self) -> int:
        # Without an open minute the source has left, and what it had is not there to be added to.
        kept_s = self._kept_s if self._slots else -MINUTE_S
        return horizon_s(self._newest_ms, kept_s) if self._newest_ms else 0


class Change(NamedTuple):
    """Absolute values of one minute after a change.

    Attributes:
        panes: by resolution (s), then by bucket (epoch s); only those that changed.
        newest_ms: newest event time in the minute.
        stamps_ms: timestamps of the records that made the change.
        restored: the packed 1 s panes of the minute after a restart. They are in Redis already;
            they only tell the rolling windows what was there.
        minutes: how many minutes of the source are restored or leave, this one included.
        left: the newest event time of its source, with which the minute has left the state.
        rewritten: the change is the whole minute once more, for a Redis that has lost it.
    """

    panes: Mapping[int, Panes]
    newest_ms: int
    stamps_ms: list[int]
    restored: bytes | None = None
    minutes: int = 0
    left: int | None = None
    rewritten: bool = False


class Minute:
    """The panes of one minute of one source, packed between two epochs: a tenth of the memory."""

    __slots__ = ("_newest_ms", "_packed", "_panes")

    def __init__(self, state: tuple[bytes, int] | None = None) -> None:
        """Start empty, or from what `snapshot` returned."""
        self._panes: dict[int, Panes] = {}  # by resolution; none while they are packed
        self._packed: bytes | None = state[0] if state else None
        self._newest_ms = state[1] if state else 0

    def add(self, deltas: Iterable[Delta]) -> Change:
        """Add deltas and return what is now true."""
        added: Panes = {}
        stamps_ms: list[int] = []
        for delta in deltas:
            for bucket, pane in delta.panes.items():
                _add(added, bucket, pane)
            stamps_ms += delta.stamps_ms
            self._newest_ms = max(self._newest_ms, delta.newest_ms)
        told: dict[int, Panes] = {}
        in_order = sorted(added.items())
        for resolution, held in self._unpacked().items():
            changed: Panes = {}
            for bucket, pane in in_order:
                _add(changed, bucket - bucket % resolution, pane)
            for start, pane in changed.items():
                old = held.get(start)
                if old is not None:
                    changed[start] = old.merge(pane)
            held.update(changed)
            told[resolution] = changed
        return Change(told, self._newest_ms, stamps_ms)

    def whole(self) -> Change:
        """Return all panes, for a Redis that has lost them."""
        told = {resolution: dict(panes) for resolution, panes in self._unpacked().items()}
        return Change(told, self._newest_ms, [], rewritten=True)

    def restored(self, minutes: int) -> Change:
        """Return the whole minute, one of so many, for the rolling windows after a restart."""
        return Change({}, self._newest_ms, [], restored=self.snapshot()[0], minutes=minutes)

    def left(self, leave: Leave) -> Change:
        """Return that the minute has left the state."""
        return Change({}, self._newest_ms, [], minutes=leave.minutes, left=leave.newest_ms)

    def snapshot(self) -> tuple[bytes, int]:
        """Return the packed panes and the newest event time (ms)."""
        if self._packed is None:
            self._packed = pack(self._panes.get(1, {}))
            self._panes = {}
        return self._packed, self._newest_ms

    def _unpacked(self) -> dict[int, Panes]:
        """Return the panes by resolution; coarse ones are sums of 1 s panes."""
        if not self._panes:
            self._panes = {resolution: {} for resolution in RESOLUTIONS_S}
            for bucket, pane in unpack(self._packed).items() if self._packed else ():
                for resolution, panes in self._panes.items():
                    _add(panes, bucket // resolution * resolution, pane)
            self._packed = None
        return self._panes


def _add(panes: Panes, bucket: int, pane: Pane) -> None:
    old = panes.get(bucket)
    panes[bucket] = pane if old is None else old.merge(pane)
