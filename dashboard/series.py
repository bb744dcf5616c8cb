"""Stored panes of one source at one resolution: a ring of exact integers.

Pure state, without I/O and without a clock: time is what the panes say.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataflows.panes import FIELDS, Pane

__all__ = ["KEEP_S", "Integers", "Series", "rolling_sums"]

Integers = NDArray[np.int64]
# Seconds that are held by resolution: what Redis keeps, and what the rolling means and the columns
# at the old end reach back.
KEEP_S: Final = {1: 2 * 3600 + 180, 10: 24 * 3600 + 960, 60: 7 * 24 * 3600 + 24_000}
_EVENTS: Final = FIELDS.index("events")


class Series:
    """Panes of one source, the newest `KEEP_S` seconds of event time.

    A bucket without a pane is a row of zeros; a pane that exists has at least one event.

    Attributes:
        resolution_s: seconds of a bucket.
        newest: start (epoch s) of the newest pane, `None` before the first.
        version: changes whenever a pane changes.
    """

    __slots__ = ("_keep", "_ring", "newest", "resolution_s", "version")

    def __init__(self, resolution_s: int = 1) -> None:
        self.resolution_s = resolution_s
        self._keep = KEEP_S[resolution_s] // resolution_s
        self._ring: Integers = np.zeros((self._keep, len(FIELDS)), dtype=np.int64)
        self.newest: int | None = None
        self.version = 0

    def upsert(self, bucket: int, pane: Pane) -> bool:
        """Set the pane of the bucket that starts at `bucket` (epoch s).

        Returns:
            Whether that changed anything.

        Raises:
            OverflowError: a number does not fit in 64 bits.
        """
        row = np.array(pane, dtype=np.int64)
        if not self._advance(bucket):
            return False
        slot = bucket // self.resolution_s % self._keep
        if np.array_equal(self._ring[slot], row):
            return False
        self._ring[slot] = row
        self.version += 1
        return True

    def fill(self, buckets: Integers, panes: Integers) -> None:
        """Set panes of buckets that have none yet, so that history never undoes an update.

        Args:
            buckets: starts (epoch s), of shape (panes,), each once.
            panes: of shape (panes, 15).
        """
        if not len(buckets):
            return
        self._advance(int(buckets.max()))
        slots = buckets // self.resolution_s % self._keep
        free = (buckets > self._oldest()) & (self._ring[slots, _EVENTS] == 0)
        self._ring[slots[free]] = panes[free]
        self.version += 1

    def window(self, end: int, seconds: int) -> Integers:
        """Return the panes of the `seconds` seconds that end with the bucket of `end`.

        Args:
            end: any second (epoch s) of the last bucket.
            seconds: a multiple of the resolution.

        Returns:
            Oldest first, of shape (seconds / resolution, 15). What lies outside the ring is zero.
        """
        last = end // self.resolution_s
        numbers = np.arange(last - seconds // self.resolution_s + 1, last + 1)
        rows = self._ring[numbers % self._keep]
        if self.newest is None:
            return np.zeros_like(rows)
        buckets = numbers * self.resolution_s
        rows[(buckets > self.newest) | (buckets <= self._oldest())] = 0
        return rows

    def total(self, end: int, seconds: int) -> Pane:
        """Return the sum of the panes of the `seconds` seconds that end with that of `end`."""
        return Pane(*self.window(end, seconds).sum(axis=0).tolist())

    def reaches(self, second: int) -> bool:
        """Return whether something is held of a second (epoch s) or of before it."""
        begin = self._oldest() + self.resolution_s
        span = (second - begin) // self.resolution_s * self.resolution_s
        return span >= 0 and bool(self.window(second, span + self.resolution_s)[:, _EVENTS].any())

    def _oldest(self) -> int:
        """Return the newest bucket (epoch s) that the ring does not hold any more."""
        return (self.newest or 0) - self._keep * self.resolution_s

    def _advance(self, bucket: int) -> bool:
        """Make room for `bucket`; return whether the ring holds it."""
        if self.newest is None:
            self.newest = bucket
        elif bucket > self.newest:
            number = bucket // self.resolution_s
            first = max(self.newest // self.resolution_s + 1, number - self._keep + 1)
            self._ring[np.arange(first, number + 1) % self._keep] = 0
            self.newest = bucket
        return bucket > self._oldest()


def rolling_sums(panes: Integers, width: int) -> Integers:
    """Return the sums over every `width` neighbouring rows, of shape (rows - width + 1, columns).

    Differences of a running integer sum: exact, whatever the order.
    """
    running = np.zeros((len(panes) + 1, panes.shape[1]), dtype=np.int64)
    np.cumsum(panes, axis=0, out=running[1:])
    return running[width:] - running[:-width]
