"""Rolling windows of one source, or of all together, as sums over their newest panes."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dataflows.blocks import MINUTE_S, Change
from dataflows.head import Head
from dataflows.panes import EMPTY, Pane, Panes, unpack

__all__ = ["Rolling", "Update"]

BEFORE: Final = -(2**62)  # any second
# Panes of a source that is ahead of all others are kept until the others get there, but not for
# ever: so many are more than a day of seconds.
MOST_AHEAD: Final = 100_000


@dataclass(slots=True)
class Update:
    """What Redis is to hold for one source after a change; all values are absolute.

    Attributes:
        panes: by resolution (s), then by bucket (epoch s).
        rolling: by window (s); empty while it is not known after a restart.
        as_of: where every window ends: the newest pane of the source, or of all sources up to
            their head (epoch s). 0 while there is none.
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

    A window of w seconds that ends at the pane N is the sum of the panes in (N - w, N]. N is the
    newest pane of the source. For all sources it is the newest one up to their head: what is ahead
    of it waits.
    """

    def __init__(self, windows: Sequence[int], kept_s: int, resumed: bool = False) -> None:
        """Start empty; if resumed, wait for what was there, which comes as restored changes."""
        self._leaving = 0  # minutes that have left
        self._to_leave = 0  # of so many
        self._left_ms: int | None = None  # with which newest event time (ms) of the source
        self._complete = not resumed
        self._restored = 0
        self._longest, self._kept_s = max(windows), kept_s
        self._sums = dict.fromkeys(windows, EMPTY)
        self._panes: Panes = {}
        self._buckets: list[int] = []  # of the panes, the oldest first
        self._end = BEFORE
        self._head: Head | None = None
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
            if change.head is not None:
                self._head = change.head.merge(self._head or change.head)
            if change.left is not None:
                self._leave(change.minutes, change.left)
                continue
            if change.restored is not None:
                self._restored += 1
                self._complete |= self._restored >= change.minutes
                # The newest pane of that minute is at most its last second: skip old minutes
                # without unpacking them.
                end = change.newest_ms // 1000 // MINUTE_S * MINUTE_S + MINUTE_S
                if end > self._horizon():
                    self._restore(unpack(change.restored))
                continue
            for bucket, pane in sorted(change.panes[1].items()):
                self._put(bucket, pane)
            self._move()
            for resolution, panes in change.panes.items():
                written.setdefault(resolution, {}).update(panes)
        known = self._complete and self._end > BEFORE
        if not (written or known):
            return None
        rolling = dict(self._sums) if known else {}
        as_of = max(self._end, 0)
        return Update(written, rolling, as_of, self._newest_ms, stamps_ms, rewritten)

    @property
    def left(self) -> bool:
        """Whether the source has left the state, and nothing newer has come since."""
        gone = self._left_ms is not None and self._leaving == self._to_leave
        return gone and (self._left_ms or 0) // 1000 >= self._end

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
        self._move()

    def _put(self, bucket: int, pane: Pane) -> None:
        """Set the pane of a bucket and keep the sums right."""
        change = pane
        if (old := self._panes.get(bucket)) is not None:
            change = pane.subtract(old)
        elif not self._buckets or bucket > self._buckets[-1]:
            self._buckets.append(bucket)
        else:
            insort(self._buckets, bucket)
        self._panes[bucket] = pane
        if bucket <= self._end:
            for window, total in self._sums.items():
                if bucket > self._end - window:
                    self._sums[window] = change if total is EMPTY else total.merge(change)

    def _move(self) -> None:
        """Move the end of every window to where it belongs now, and forget what is behind all."""
        buckets = self._buckets
        at = len(buckets)
        if self._head is not None:
            at = bisect_right(buckets, self._head.time_ms // 1000)
        end = buckets[at - 1] if at else BEFORE
        if end < self._end:  # the second source of all is behind the first
            self._sums = dict.fromkeys(self._sums, EMPTY)
            self._end = BEFORE
        if end > self._end:
            self._advance(self._end, end)
        if len(buckets) - at > MOST_AHEAD:
            self._drop(at, len(buckets) - MOST_AHEAD)
        if buckets and buckets[0] <= (horizon := self._horizon()):
            self._drop(0, bisect_right(buckets, horizon))

    def _advance(self, old: int, new: int) -> None:
        """Move the end of every window from one pane to a newer one."""
        self._end = new
        buckets, panes = self._buckets, self._panes
        entering, until = bisect_right(buckets, old), bisect_right(buckets, new)
        for window, total in self._sums.items():
            gone = bisect_right(buckets, new - window)
            if gone >= entering:
                total = EMPTY
            else:
                for bucket in buckets[bisect_right(buckets, old - window) : gone]:
                    total = total.subtract(panes[bucket])
            for bucket in buckets[max(gone, entering) : until]:
                total = panes[bucket] if total is EMPTY else total.merge(panes[bucket])
            self._sums[window] = total

    def _horizon(self) -> int:
        """Return the newest second that no window will ever hold again."""
        if self._end == BEFORE:
            return BEFORE
        head, back = self._head, self._end
        if head is not None and not head.second[1]:
            # A second source may come, and the head goes back to it.
            back = max(head.confirmed_ms // 1000, back - self._kept_s)
        return min(back, self._end) - self._longest

    def _drop(self, first: int, end: int) -> None:
        for bucket in self._buckets[first:end]:
            del self._panes[bucket]
        del self._buckets[first:end]
