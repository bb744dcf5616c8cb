"""What the dashboard knows: panes, sources, newest predictions, workers, and the link to Redis.

Pure state. The reader writes it, the pages read it, both on one event loop.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from dashboard.feed import FeedRow
from dashboard.series import Series
from dashboard.workers import Heartbeat
from dataflows.keys import ALL_SOURCES
from dataflows.panes import Pane

__all__ = ["FEED_ROWS", "MAX_SERIES", "Store"]

# Sources of which an hour is held at once, about 0.45 MB each; the least recently shown goes.
MAX_SERIES: Final = 128
FEED_ROWS: Final = 500  # as many as the `events` stream keeps

RedisState = Literal["connecting", "up", "down"]


class Store:
    """State of one dashboard process.

    Only sources that a page has asked for are held, and always the sum over all sources.

    Attributes:
        redis: state of the link to Redis.
        sources: source → newest event time (epoch ms), without `*`.
        newest_ms: newest event time over all sources (epoch ms), `None` before the first.
        updated_at: when the newest update was written, on the clock that the reader is given.
        feed: newest predictions, newest first.
        workers: heartbeats that have not expired.
        wanted: sources that pages ask for and that are not loaded yet.
        on_wanted: called when a source becomes wanted; must not block.
    """

    def __init__(self) -> None:
        self.redis: RedisState = "connecting"
        self.updated_at: float | None = None
        self.feed: deque[FeedRow] = deque(maxlen=FEED_ROWS)
        self.workers: tuple[Heartbeat, ...] = ()
        self.wanted: set[str] = set()
        self.on_wanted: Callable[[], None] = lambda: None
        self.sources: dict[str, int] = {}
        self.newest_ms: int | None = None
        self._series: OrderedDict[str, Series] = OrderedDict()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw yet."""
        total = self._series.get(ALL_SOURCES)
        return total is None or total.newest is None

    @property
    def tracked(self) -> tuple[str, ...]:
        """Sources whose panes are held."""
        return tuple(self._series)

    def series(self, source: str) -> Series | None:
        """Return the panes of a source; `None` when they have to be loaded first (then wanted)."""
        series = self._series.get(source)
        if series is None:
            if len(self.wanted) < MAX_SERIES:
                self.wanted.add(source)
                self.on_wanted()
        else:
            self._series.move_to_end(source)
        return series

    def newest_event_ms(self, source: str) -> int | None:
        """Return the newest event time of a source (epoch ms), `None` when it has none."""
        return self.newest_ms if source == ALL_SOURCES else self.sources.get(source)

    def reset(self, history: Mapping[str, Iterable[tuple[int, Pane]]]) -> None:
        """Replace all panes by `history` (source → buckets and panes) and forget the rest."""
        self._series.clear()
        self.sources = {}
        self.newest_ms = None
        self.updated_at = None
        self.feed.clear()
        for source in history:
            self.track(source)
            self.load(source, history[source])

    def track(self, source: str) -> None:
        """Hold the panes of a source from now on; the least recently shown may have to go."""
        if source not in self._series:
            self._series[source] = Series()
        while len(self._series) > MAX_SERIES:
            victim = next(name for name in self._series if name not in (ALL_SOURCES, source))
            del self._series[victim]

    def load(self, source: str, panes: Iterable[tuple[int, Pane]]) -> None:
        """Add history to a tracked source. Panes that updates have already set stay as they are."""
        self.wanted.discard(source)
        series = self._series.get(source)
        if series is None:
            return
        series.version += 1  # also an empty history is news to the page that waits for it
        for bucket, pane in panes:
            series.fill(bucket, pane)

    def update(self, source: str, bucket: int, pane: Pane, written_at: float) -> None:
        """Apply one entry of the `updates` stream; the same one twice changes nothing."""
        self.updated_at = max(written_at, self.updated_at or written_at)
        self.see(source, bucket * 1000)
        series = self._series.get(source)
        if series is not None:
            series.upsert(bucket, pane)

    def see(self, source: str, newest_ms: int) -> None:
        """Note that a source has an event at `newest_ms` (epoch ms)."""
        self.newest_ms = max(newest_ms, self.newest_ms or newest_ms)
        if source != ALL_SOURCES:
            self.sources[source] = max(newest_ms, self.sources.get(source, newest_ms))
