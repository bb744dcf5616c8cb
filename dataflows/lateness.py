"""Which events come too late, judged by the order inside one partition alone."""

from __future__ import annotations

from collections.abc import Mapping

from dataflows.head import Head

__all__ = ["Lateness"]


class Lateness:
    """Remembers the newest event time of each source in one partition.

    The verdict on an event depends on the events of its source before it in its partition and on
    nothing else: no clock, no other partition. So a replay gives the same verdicts.

    A source that is `kept_ms` behind two others of the partition is forgotten, which bounds the
    memory; since that too depends on the order alone, it is the same in every replay. One that is
    ahead of all others by a wrong clock has nobody forgotten.
    """

    def __init__(
        self, lateness_ms: int, kept_ms: int, newest: Mapping[str, int] | None = None
    ) -> None:
        """Start empty, or from what `snapshot` returned."""
        self._lateness_ms = lateness_ms
        self._kept_ms = max(kept_ms, lateness_ms)
        self._newest = dict(newest or {})
        self._head = Head.of(self._newest)
        self._horizon_ms = self._head.shared_ms - self._kept_ms

    def is_late(self, source: str, time_ms: int) -> bool:
        """Return whether an event of this source and time is late, and remember it."""
        newest = self._newest.get(source)
        if newest is None or newest < self._horizon_ms:
            newest = time_ms
        if time_ms < newest:
            return newest - time_ms > self._lateness_ms
        self._newest[source] = time_ms
        if time_ms > self._head.second[0]:
            self._head = self._head.merge(Head(first=(time_ms, source)))
            self._horizon_ms = self._head.shared_ms - self._kept_ms
        return False

    def snapshot(self) -> dict[str, int]:
        """Return the newest event time (ms) by source, without forgotten ones."""
        horizon = self._horizon_ms
        self._newest = {name: time for name, time in self._newest.items() if time >= horizon}
        return dict(self._newest)
