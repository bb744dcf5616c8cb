"""Which minutes of one source, or of all together, are still in the state."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

from dataflows.blocks import MINUTE_S, Delta, Partial, horizon_s
from dataflows.head import NO_HEAD, Head
from dataflows.panes import Panes

__all__ = ["OpenMinutes"]

Runs = list[tuple[int, int, int]]  # of open minutes: the first, how many, the slot of the first
FIELDS_BEFORE_HEADS: Final = 2  # of a state that an older version has written
OpenState = tuple[int, Runs] | tuple[int, Runs, int, Head | None]


class OpenMinutes:
    """Knows which minutes of one source are still in the state, and closes old ones.

    A minute is known in the state by a slot, a small number that later minutes use again: Bytewax
    keeps a row for every key that it has ever had, also when its state has ended.

    A minute is closed when it is `kept_s` behind the newest event of the source, or behind the
    head of all sources. Then nothing can change it any more that lateness has let through, unless
    partitions are further apart in event time than `kept_s`.
    """

    def __init__(self, kept_s: int, state: OpenState | None = None) -> None:
        """Start empty, or from what `snapshot` returned."""
        self._kept_s = kept_s
        self._newest_ms, runs = state[:2] if state else (0, [])
        self._slots = {
            first + i * MINUTE_S: slot + i for first, count, slot in runs for i in range(count)
        }
        taken = set(self._slots.values())
        self._free = set(range(max(taken, default=0))) - taken
        self._oldest_first = sorted(self._slots)  # a heap
        # No minute before this one (start, epoch s) is opened again.
        self._floor = self._left_floor()
        self.head: Head | None = None
        if state is not None and len(state) > FIELDS_BEFORE_HEADS:
            self._floor, self.head = state[2:]
        self._runs: Runs | None = None  # of the slots, once asked for
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
        if partial.head is None:
            self._newest_ms = max(self._newest_ms, newest_ms)
        else:
            self.head = partial.head.merge(self.head or NO_HEAD)
            self._newest_ms = self.head.time_ms
            horizon = min(horizon, self._horizon())  # the head may have gone back
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
            deltas[minute] = Delta(minutes[minute], min(newest_ms, ends_ms), stamps_ms, self.head)
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
        """Newest event time of the source, or the head (epoch ms); 0 before the first event."""
        return self._newest_ms

    def close(self) -> list[int]:
        """Close the minutes that have left the state, and return their slots, the oldest first."""
        horizon, closed = self._horizon(), []
        while self._oldest_first and self._oldest_first[0] < horizon:
            closed.append(heappop(self._oldest_first))
            self._floor = closed[-1] + MINUTE_S
        return self._release(closed) if closed else closed

    def leave(self) -> list[int]:
        """Close all minutes; return their slots, and others whose words may be on the way."""
        slots = self._release(self.newest_first())
        self._oldest_first.clear()
        self._floor = self._left_floor()
        return slots + sorted(self._closed.difference(slots)) if slots else slots

    def newest_first(self) -> list[int]:
        """Return the open minutes (start, epoch s), the newest one first."""
        return sorted(self._slots, reverse=True)

    def snapshot(self) -> OpenState:
        """Return the newest event time (ms), runs of open minutes, the floor and the head."""
        self._closed.clear()
        if self._runs is None:
            self._runs = self._in_runs()
        return self._newest_ms, self._runs, self._floor, self.head

    def _in_runs(self) -> Runs:
        runs: Runs = []
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

    def _left_floor(self) -> int:
        """Without an open minute the source has left; what it had is not there to be added to."""
        return 0 if self._slots or not self._newest_ms else horizon_s(self._newest_ms, -MINUTE_S)

    def _horizon(self) -> int:
        return max(self._floor, horizon_s(self._newest_ms, self._kept_s))
