"""The exact part of the state: minutes of panes, and what they are told and tell.

A minute of one source is one unit of state, so that an event touches (and a snapshot writes)
little, however long the panes of its source are kept. What comes out are absolute values: a
replay writes the same ones again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from dataflows.head import Head
from dataflows.keys import RESOLUTIONS_S
from dataflows.panes import Pane, Panes, pack, unpack

__all__ = [
    "Change",
    "Delta",
    "Leave",
    "Minute",
    "Order",
    "Partial",
    "Restore",
    "horizon_s",
]

MINUTE_S = 60


@dataclass(slots=True)
class Partial:
    """Sums of a batch of events of one source.

    Attributes:
        source: of all of them.
        panes: by bucket (epoch s), for 1 s buckets.
        newest_ms: newest event time in the batch, epoch milliseconds.
        stamps_ms: timestamps of the records, for the latency; only in the partial of a source,
            not in that of all sources.
        head: of the sources in it; only in the partial of all sources, the others have their own.
    """

    source: str
    panes: Panes = field(default_factory=dict)
    newest_ms: int = 0
    stamps_ms: list[int] = field(default_factory=list)
    head: Head | None = None


class Delta(NamedTuple):
    """What one minute of one source has to add; with the head if it is of all sources."""

    panes: Panes
    newest_ms: int
    stamps_ms: list[int]
    head: Head | None = None


class Order(Enum):
    """What a source is told, or tells its minutes, besides what to add."""

    CLOSE = "close"  # a minute leaves the state
    LEAVE = "leave"  # an idle source lets all its minutes go
    RESTORE = "restore"  # tell the rolling windows what was there before a restart
    TELL = "tell"  # all panes once more, for a Redis that has lost them


class Restore(NamedTuple):
    """One of so many minutes of a source that tell what was there before a restart."""

    minutes: int
    head: Head | None = None


class Leave(NamedTuple):
    """One of so many minutes that leave the state together when this is the source's newest."""

    minutes: int
    newest_ms: int


def horizon_s(newest_ms: int, kept_s: int) -> int:
    """Return the start (epoch s) of the first minute that is kept beside this event time."""
    return newest_ms // 1000 // MINUTE_S * MINUTE_S - kept_s


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
        head: of all sources, where the change is of them.
    """

    panes: Mapping[int, Panes]
    newest_ms: int
    stamps_ms: list[int]
    restored: bytes | None = None
    minutes: int = 0
    left: int | None = None
    rewritten: bool = False
    head: Head | None = None


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
        head: Head | None = None
        for delta in deltas:
            head = delta.head or head  # the last one knows most
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
        return Change(told, self._newest_ms, stamps_ms, head=head)

    def whole(self) -> Change:
        """Return all panes, for a Redis that has lost them."""
        told = {resolution: dict(panes) for resolution, panes in self._unpacked().items()}
        return Change(told, self._newest_ms, [], rewritten=True)

    def restored(self, order: Restore) -> Change:
        """Return the whole minute, one of so many, for the rolling windows after a restart."""
        packed, newest_ms = self.snapshot()
        return Change({}, newest_ms, [], packed, order.minutes, head=order.head)

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
