"""The newest hour of one source: a ring of one-second panes, exact integers all the way.

Pure state, without I/O and without a clock: time is what the panes say.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataflows.panes import FIELDS, Pane

__all__ = ["KEEP_S", "Integers", "Series", "rolling_sums"]

Integers = NDArray[np.int64]
# An hour to show, and what the first points' rolling windows and buckets reach back.
KEEP_S: Final = 3600 + 180
_EVENTS: Final = FIELDS.index("events")


class Series:
    """One-second panes of one source, the newest `KEEP_S` seconds of event time.

    A second without a pane is a row of zeros; a pane that exists has at least one event.

    Attributes:
        newest: start (epoch s) of the newest pane, `None` before the first.
        version: changes whenever a pane changes.
    """

    __slots__ = ("_ring", "newest", "version")

    def __init__(self) -> None:
        self._ring: Integers = np.zeros((KEEP_S, len(FIELDS)), dtype=np.int64)
        self.newest: int | None = None
        self.version = 0

    def upsert(self, bucket: int, pane: Pane) -> bool:
        """Set the pane of the second `bucket` (epoch s); return whether that changed anything.

        Raises:
            OverflowError: a number does not fit in 64 bits.
        """
        row = np.array(pane, dtype=np.int64)
        if not self._advance(bucket):
            return False
        slot = bucket % KEEP_S
        if np.array_equal(self._ring[slot], row):
            return False
        self._ring[slot] = row
        self.version += 1
        return True

    def fill(self, bucket: int, pane: Pane) -> bool:
        """Set the pane of a second that has none yet, so that history never undoes an update."""
        known = self.newest is not None and self.newest - KEEP_S < bucket <= self.newest
        if known and self._ring[bucket % KEEP_S, _EVENTS]:
            return False
        return self.upsert(bucket, pane)

    def window(self, end: int, seconds: int) -> Integers:
        """Return the panes of the `seconds` seconds that end with the second `end`, oldest first.

        The shape is (seconds, 15). What lies outside the ring is zero.
        """
        buckets = np.arange(end - seconds + 1, end + 1)
        rows = self._ring[buckets % KEEP_S]
        if self.newest is None:
            return np.zeros_like(rows)
        rows[(buckets > self.newest) | (buckets <= self.newest - KEEP_S)] = 0
        return rows

    def total(self, end: int, seconds: int) -> Pane:
        """Return the sum of the panes of the `seconds` seconds that end with the second `end`."""
        return Pane(*self.window(end, seconds).sum(axis=0).tolist())

    def _advance(self, bucket: int) -> bool:
        """Make room for `bucket`; return whether the ring holds it."""
        if self.newest is None:
            self.newest = bucket
        elif bucket > self.newest:
            skipped = np.arange(max(self.newest + 1, bucket - KEEP_S + 1), bucket + 1)
            self._ring[skipped % KEEP_S] = 0
            self.newest = bucket
        return bucket > self.newest - KEEP_S


def rolling_sums(panes: Integers, width: int) -> Integers:
    """Return the sums over every `width` neighbouring rows, of shape (rows - width + 1, columns).

    Differences of a running integer sum: exact, whatever the order.
    """
    running = np.zeros((len(panes) + 1, panes.shape[1]), dtype=np.int64)
    np.cumsum(panes, axis=0, out=running[1:])
    return running[width:] - running[:-width]
