"""What the dashboard knows: panes, sources, newest predictions, workers, and the link to Redis.

Pure state. The reader writes it, the pages read it, both on one event loop.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Final, Literal

from dashboard.alerts import AlertRow
from dashboard.feed import FeedRow
from dashboard.series import Integers, Series
from dashboard.vitals import Vitals
from dashboard.workers import Heartbeat, Memory, RejectionRow
from dataflows.drift_records import DriftRow
from dataflows.feedback import Approval
from dataflows.head import NO_HEAD, Head, is_live
from dataflows.keys import ALL_SOURCES, RESOLUTIONS_S
from dataflows.panes import Pane

__all__ = ["ALERT_ROWS", "FEED_ROWS", "MAX_SERIES", "TOTAL", "Name", "Store"]

# Series that are held at once, at most 1.3 MB each; the least recently shown goes.
MAX_SERIES: Final = 256
ALERT_ROWS: Final = 1000  # as many as the `alerts` stream keeps
FEED_ROWS: Final = 500  # as many as the `events` stream keeps

RedisState = Literal["connecting", "up", "down"]
Name = tuple[str, int]  # of a series: source and resolution (s)
AHEAD_S: Final = 60
MAX_S: Final = 2**62
LIVE_AHEAD_MS: Final = 5000
TOTAL: Final[Name] = (ALL_SOURCES, 1)  # always held


class Store:
    """State of one dashboard process.

    Only series that a page has asked for are held, and always the newest of all sources together.

    Attributes:
        redis: state of the link to Redis.
        sources: source → newest event time (epoch ms), without `*`.
        head: of all sources, which no single one can move.
        as_of_ms: where the flow has the windows of all sources end (epoch ms), 0 before any.
        updated_at: when the newest update was written, on the clock that the reader is given.
        alerts: by id, in the order in which they were told first.
        feed: newest predictions, newest first.
        workers: heartbeats that have not expired.
        rejections: the newest rejected records, newest first.
        memory: what Redis uses.
        drift: the newest hours of drift, of all sources first.
        approvals: what people say of the predictions.
        vitals: how the workers did since this process looks at them.
        wanted: series that pages ask for and that are not loaded yet, and whether a line waits for
            them.
        on_wanted: called when a series becomes wanted; must not block.
        version: changes whenever a pane of any series changes, or more is held.
        dirty: buckets (epoch s) of series of coarse resolution that have to be read again.
    """

    def __init__(self) -> None:
        self.redis: RedisState = "connecting"
        self.updated_at: float | None = None
        self.alerts: OrderedDict[str, AlertRow] = OrderedDict()
        self.feed: deque[FeedRow] = deque(maxlen=FEED_ROWS)
        self.workers: tuple[Heartbeat, ...] = ()
        self.rejections: tuple[RejectionRow, ...] = ()
        self.memory = Memory()
        self.drift: tuple[DriftRow, ...] = ()
        self.approvals: tuple[Approval, ...] = ()
        self.vitals = Vitals()
        self.wanted: dict[Name, bool] = {}
        self.on_wanted: Callable[[], None] = lambda: None
        self.version = 0
        self.dirty: set[tuple[Name, int]] = set()
        self.sources: dict[str, int] = {}
        self.head = NO_HEAD
        self.as_of_ms = 0
        self._series: OrderedDict[Name, Series] = OrderedDict()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw yet."""
        total = self._series.get(TOTAL)
        return total is None or total.newest is None

    @property
    def tracked(self) -> tuple[Name, ...]:
        """Series that are held."""
        return tuple(self._series)

    @property
    def most_wanted(self) -> Name:
        """What to load next: what a line waits for, and then the rest."""
        return min(self.wanted, key=lambda name: (not self.wanted[name], name))

    def series(self, source: str, resolution_s: int = 1, *, line: bool = False) -> Series | None:
        """Return the panes of a source; `None` when they have to be loaded first (then wanted).

        Args:
            source: `*` for all.
            resolution_s: seconds of a pane.
            line: whether nothing of the page can be drawn without them.
        """
        name = (source, resolution_s)
        series = self._series.get(name)
        if series is None:
            if len(self.wanted) < MAX_SERIES:
                self.wanted[name] = line or self.wanted.get(name, False)
                self.on_wanted()
        else:
            self._series.move_to_end(name)
        return series

    def newest_event_ms(self, source: str) -> int | None:
        """Return the newest event time of a source (epoch ms), `None` when it has none.

        That of all sources is their head: one wrong clock does not move it.
        """
        if source == ALL_SOURCES:
            return max(self.as_of_ms, self.head.time_ms) or None
        return self.sources.get(source)

    def end(self, source: str, series: Series | None) -> int | None:
        """Return the newest second (epoch s) of a series to be shown, `None` when it has none."""
        newest = series.newest if series else None
        head_ms = self.newest_event_ms(ALL_SOURCES)
        if series is None or newest is None or source != ALL_SOURCES or head_ms is None:
            return newest
        return min(newest, head_ms // 1000 // series.resolution_s * series.resolution_s)

    def reset(self, history: Mapping[Name, tuple[Integers, Integers]]) -> None:
        """Replace all panes by `history` (series → buckets and panes) and forget the rest."""
        self._series.clear()
        self.dirty.clear()
        self.sources = {}
        self.head = NO_HEAD
        self.as_of_ms = 0
        self.updated_at = None
        self.feed.clear()
        self.alerts.clear()
        for name in history:
            self.track(name)
            self.load(name, *history[name])

    def track(self, name: Name) -> None:
        """Hold a series from now on; the least recently shown may have to go."""
        if name not in self._series:
            self._series[name] = Series(name[1])
        while len(self._series) > MAX_SERIES:
            victim = next(other for other in self._series if other not in (TOTAL, name))
            del self._series[victim]

    def load(self, name: Name, buckets: Integers, panes: Integers) -> None:
        """Add history to a tracked series. Panes that updates have already set stay as they are.

        The shapes are those of `Series.fill`.
        """
        self.version += 1
        self.wanted.pop(name, None)
        series = self._series.get(name)
        if series is None:
            return
        series.version += 1  # also an empty history is news to the page that waits for it
        held = buckets <= self._limit(name)
        series.fill(buckets[held], panes[held])

    def update(
        self, source: str, bucket: int, pane: Pane, written_at: float, now_ms: int = 0
    ) -> None:
        """Apply one entry of the `updates` stream; the same one twice changes nothing.

        Args:
            source: `*` for all.
            bucket: second of the pane (epoch s).
            pane: what is now true of it.
            written_at: when it was written, on the clock that the reader is given.
            now_ms: the same as epoch milliseconds; 0 if that is not known.
        """
        self.updated_at = max(written_at, self.updated_at or written_at)
        self.see(source, bucket * 1000, now_ms)
        for resolution in RESOLUTIONS_S[1:]:
            name = (source, resolution)
            if name in self._series:
                self.dirty.add((name, bucket // resolution * resolution))
        self.correct((source, 1), bucket, pane)

    def correct(self, name: Name, bucket: int, pane: Pane) -> None:
        """Set one pane of a series, if it is held and not of a time that is not there yet."""
        series = self._series.get(name)
        if series is not None and bucket <= self._limit(name):
            self.version += series.upsert(bucket, pane)

    def _limit(self, name: Name) -> int:
        """Return the last second (epoch s) that a series may have.

        What is far ahead of all sources would push out of the series what is of now.
        """
        head_ms = self.newest_event_ms(ALL_SOURCES)
        return MAX_S if name[0] != ALL_SOURCES or head_ms is None else head_ms // 1000 + AHEAD_S

    def _turn_back(self) -> None:
        """Read the series of all sources again that one source had moved when it was alone."""
        for resolution in RESOLUTIONS_S:
            name = (ALL_SOURCES, resolution)
            series = self._series.get(name)
            if series is not None and (series.newest or 0) > self._limit(name):
                self._series[name] = Series(resolution)
                self.wanted[name] = True
                self.on_wanted()

    def tell(self, alert: AlertRow) -> None:
        """Add an alert, or what has become of it; the same one twice changes nothing."""
        if self.alerts.get(alert.id) != alert:
            self.alerts[alert.id] = alert
            self.version += 1
        while len(self.alerts) > ALERT_ROWS:
            self.alerts.popitem(last=False)

    def see(self, source: str, newest_ms: int, now_ms: int = 0) -> None:
        """Note that a source has an event at `newest_ms` (epoch ms); `now_ms` is Redis's clock."""
        if source == ALL_SOURCES:
            return
        self.sources[source] = max(newest_ms, self.sources.get(source, newest_ms))
        confirmed_ms = newest_ms if is_live(newest_ms, now_ms, LIVE_AHEAD_MS) else 0
        self.head = self.head.merge(Head(confirmed_ms, (newest_ms, source)))
        self._turn_back()
