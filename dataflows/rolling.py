"""Rolling windows of one source, as sums over its newest panes."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dataflows.blocks import MINUTE_S, Change
from dataflows.panes import EMPTY, Pane, Panes, unpack

__all__ = ["Rolling", "Update"]


@dataclass(slots=True)
class Update:
    """What Redis is to hold for one source after a change; all values are absolute.

    Attributes:
        panes: by resolution (s), then by bucket (epoch s).
        rolling: by window (s); empty while it is not known after a restart.
        as_of: newest pane of the source (epoch s), where every window ends.
        newest_ms: newest event time of the source.
        stamps_ms: timestamps of the records behind this update, for the latency.
        rewritten: how many whole minutes are in it for a Redis that has lost them.
    """

    panes: Mapping[int, Panes]
    rolling: Mapping[int, Pane]
    as_of: int
    newest_ms: int
    stamps_ms: list[int] = field(default_factory=list)
    rewritten: int = 0


class Rolling:
    """Keeps the panes of the longest window and one running sum per window.

    A window of w seconds that ends at the newest pane N is the sum of the panes in (N - w, N].
    """

    def __init__(self, windows: Sequence[int], resumed: bool = False) -> None:
        """Start empty; if resumed, wait for what was there, which comes as restored changes."""
        self._leaving = 0  # minutes that have left
        self._to_leave = 0  # of so many
        self._left_ms: int | None = None  # with which newest event time (ms) of the source
        self._complete = not resumed
        self._restored = 0
        self._longest = max(windows)
        self._sums = dict.fromkeys(windows, EMPTY)
        self._panes: Panes = {}
        self._buckets: list[int] = []  # of the panes, the oldest first
        self._newest: int | None = None
        self._newest_ms = 0

    def apply(self, changes: Iterable[Change]) -> Update | None:
        """Apply changes in their order and return what is now true, None if nothing is known.

        While restored minutes are missing, the rolling windows are left out of it.
        """
        written: dict[int, Panes] = {}
        stamps_ms: list[int] = []
        rewritten = 0
        for change in changes:
            self._newest_ms = max(self._newest_ms, change.newest_ms)
            stamps_ms += change.stamps_ms
            rewritten += change.rewritten
            if change.left is not None:
                self._leave(change.minutes, change.left)
                continue
            if change.restored is not None:
                self._restored += 1
                self._complete |= self._restored >= change.minutes
                # The newest pane of that minute is at most its last second: skip old minutes
                # without unpacking them.
                end = change.newest_ms // 1000 // MINUTE_S * MINUTE_S + MINUTE_S
                if self._newest is None or end > self._newest - self._longest:
                    self._restore(unpack(change.restored))
                continue
            for bucket, pane in sorted(change.panes[1].items()):
                self._put(bucket, pane)
            for resolution, panes in change.panes.items():
                written.setdefault(resolution, {}).update(panes)
        rolling = dict(self._sums) if self._complete else {}
        if self._newest is None or not (written or rolling):
            return None
        return Update(written, rolling, self._newest, self._newest_ms, stamps_ms, rewritten)

    @property
    def left(self) -> bool:
        """Whether the source has left the state, and nothing newer has come since."""
        gone = self._left_ms is not None and self._leaving == self._to_leave
        return gone and (self._left_ms or 0) // 1000 >= (self._newest or 0)

    def _leave(self, minutes: int, newest_ms: int) -> None:
        """Count the minutes that leave: each has said before that what it had to say.

        A source that came back and leaves again asks all of them again, with a newer time.
        """
        if self._left_ms is None or newest_ms > self._left_ms:
            self._leaving, self._left_ms = 0, newest_ms
        if newest_ms == self._left_ms:
            self._leaving, self._to_leave = self._leaving + 1, minutes

    def _restore(self, panes: Panes) -> None:
        for bucket, pane in sorted(panes.items()):
            # A change that came first is newer than what the restart remembers.
            if bucket not in self._panes:
                self._put(bucket, pane)

    def _put(self, bucket: int, pane: Pane) -> None:
        """Set the pane of a bucket and keep the sums right."""
        if self._newest is None:
            self._newest = bucket
        elif bucket > self._newest:
            self._advance(self._newest, bucket)
        elif bucket <= self._newest - self._longest:
            return
        change = pane
        if (old := self._panes.get(bucket)) is not None:
            change = pane.subtract(old)
        elif bucket == self._newest:
            self._buckets.append(bucket)
        else:
            insort(self._buckets, bucket)
        self._panes[bucket] = pane
        for window, total in self._sums.items():
            if bucket > self._newest - window:
                self._sums[window] = change if total is EMPTY else total.merge(change)

    def _advance(self, old: int, new: int) -> None:
        """Move the end of every window from one pane to a newer one."""
        self._newest = new
        buckets, panes = self._buckets, self._panes
        for window, total in self._sums.items():
            if new - old >= window:
                self._sums[window] = EMPTY
            elif buckets[0] <= new - window:
                first = bisect_right(buckets, old - window)
                for bucket in buckets[first : bisect_right(buckets, new - window)]:
                    total = total.subtract(panes[bucket])
                self._sums[window] = total
        if buckets[0] <= new - self._longest:
            for bucket in buckets[: bisect_right(buckets, new - self._longest)]:
                del panes[bucket]
            del buckets[: len(buckets) - len(panes)]
