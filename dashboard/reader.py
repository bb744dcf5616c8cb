"""Redis into the store: history from the hashes, then the streams from a remembered id.

The newest ids are read before the hashes, so nothing falls between the two; applying an entry
twice changes nothing. One reader serves all pages of a process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from dashboard.alerts import AlertRow
from dashboard.entries import Entry, newest_entries, parts, streams
from dashboard.feed import FeedRow
from dashboard.history import decode, decode_pane, keys_of
from dashboard.latency import RecentLatency
from dashboard.polling import Poll
from dashboard.redis_client import connect, end, public_address
from dashboard.series import Integers
from dashboard.store import ALERT_ROWS, FEED_ROWS, TOTAL, Name, Store
from dashboard.vitals import Sample
from dataflows.keys import ALL_SOURCES, Keys

__all__ = ["Reader"]

logger = logging.getLogger(__name__)

BLOCK_MS: Final = 1000  # well below the timeout of a socket: a quiet stream is no dead server
RETRY_S: Final = 0.5
POLL_S: Final = 2.0
READ_COUNT: Final = 2000
START: Final = "0-0"
WINDOW_S: Final = 10
REFRESH_S: Final = 0.5  # at most so long after its second a coarser pane follows


class _Reload(Exception):
    """The streams no longer continue where we stopped: read everything again."""


class Reader:
    """Keeps a store equal to what is in Redis, and calls `changed` after each change.

    Args:
        url: Redis URL.
        keys: names of the keys.
        store: what is written to.
        changed: called on the event loop, must not block.
        window_s: one of the rolling windows that the flow writes.
    """

    def __init__(
        self,
        url: str,
        keys: Keys,
        store: Store,
        changed: Callable[[], None],
        window_s: int = WINDOW_S,
    ) -> None:
        self._url = url
        self._keys = keys
        self._store = store
        self._changed = changed
        self._updates_id = START
        self._events_id = START
        self._alerts_id = START
        self._floor_id = START  # our place in the updates at the last look at the streams
        self._clock_offset = 0.0  # our monotonic clock minus Redis's time of day, in seconds
        self._asked = Poll(keys, window_s)
        self._latency = RecentLatency()

    async def run(self) -> None:
        """Read for ever; an unreachable Redis is reported in the store and tried again."""
        while True:
            client = connect(self._url)
            try:
                await self._session(client)
            except _Reload:
                logger.info("the streams in Redis have started again; reading the history anew")
            except (RedisError, OSError) as error:
                if self._store.redis != "down":
                    self._store.redis = "down"
                    logger.warning("Redis %s: %s", public_address(self._url), error)
                    self._changed()
                await asyncio.sleep(RETRY_S)
            except Exception:
                # A fault of ours must not leave a page that looks alive and never changes.
                self._store.redis = "down"
                logger.exception("reading Redis failed; trying again")
                self._changed()
                await asyncio.sleep(RETRY_S)
            finally:
                await client.aclose()

    async def _session(self, client: Redis) -> None:
        await self._load_all(client)
        if self._store.redis == "down":
            logger.warning("Redis %s answers again", public_address(self._url))
        self._store.redis = "up"
        self._changed()
        loops = (self._follow, self._refresh, self._poll, self._load_wanted)
        tasks = [asyncio.create_task(loop(client)) for loop in loops]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(*tasks)
        # All have ended by now, most by being cancelled; what ended the first one is raised.
        errors = [task.exception() for task in tasks if not task.cancelled()]
        raise next(error for error in errors if error is not None)

    async def _load_all(self, client: Redis) -> None:
        """Read ids, then everything that is shown, then put it into the store in one step."""
        seconds, microseconds = await client.time()
        self._clock_offset = time.monotonic() - (int(seconds) + int(microseconds) / 1e6)
        newest = await newest_entries(client, self._keys.updates, 1)
        self._updates_id = self._floor_id = newest[0][0] if newest else START
        feed = await newest_entries(client, self._keys.events, FEED_ROWS)
        self._events_id = feed[0][0] if feed else START
        alerts = await newest_entries(client, self._keys.alerts, ALERT_ROWS)
        self._alerts_id = alerts[0][0] if alerts else START
        sources = await self._asked.sources(client)
        tracked = dict.fromkeys((TOTAL, *self._store.tracked))
        history = {name: await self._history(client, name, sources) for name in tracked}
        workers = await self._asked.heartbeats(client)
        rejections, memory = await self._asked.rejections(client), await self._asked.memory(client)
        drift = await self._asked.drift(client, sources)
        approvals = await self._asked.approvals(client)

        store = self._store
        store.reset(history)
        store.workers, store.rejections, store.memory = workers, rejections, memory
        store.drift, store.approvals = drift, approvals
        self._see(sources)
        if newest:
            store.updated_at = self._written_at(newest[0][0])
        self._add_to_feed(reversed(feed))
        self._tell(reversed(alerts))

    async def _follow(self, client: Redis) -> None:
        updates, events, alerts = self._keys.updates, self._keys.events, self._keys.alerts
        while True:
            reply = await client.xread(
                {updates: self._updates_id, events: self._events_id, alerts: self._alerts_id},
                count=READ_COUNT,
                block=BLOCK_MS,
            )
            for name, entries in streams(reply):
                if name == updates:
                    self._apply(entries)
                    self._updates_id = entries[-1][0]
                elif name == events:
                    self._add_to_feed(entries)
                    self._events_id = entries[-1][0]
                else:
                    self._tell(entries)
                    self._alerts_id = entries[-1][0]
                self._changed()

    async def _refresh(self, client: Redis) -> None:
        """Read coarser panes again whose seconds have changed: the stream tells seconds only."""
        while True:
            await asyncio.sleep(REFRESH_S)
            dirty = sorted(self._store.dirty)
            if not dirty:
                continue
            self._store.dirty.clear()
            pipe = client.pipeline(transaction=False)
            for (source, resolution), bucket in dirty:
                pipe.hget(self._keys.pane(resolution, source, bucket), str(bucket))
            for (name, bucket), pane in zip(dirty, await pipe.execute(), strict=True):
                found = decode_pane(str(bucket), pane) if pane is not None else None
                if found:
                    self._store.correct(name, *found)
            self._changed()

    async def _poll(self, client: Redis) -> None:
        """Refresh what has no stream, and notice when the streams have started again."""
        while True:
            await asyncio.sleep(POLL_S)
            await self._check_streams(client)
            store = self._store
            sources = await self._asked.sources(client)
            self._see(sources)
            store.drift = await self._asked.drift(client, sources)
            store.approvals = await self._asked.approvals(client)
            store.workers = await self._asked.heartbeats(client)
            store.rejections = await self._asked.rejections(client)
            store.memory = await self._asked.memory(client)
            recent_ms = self._latency.p95_ms(store.workers)
            store.vitals.add(
                Sample.of(time.time(), store.workers, recent_ms, store.newest_event_ms(ALL_SOURCES))
            )
            self._changed()

    async def _check_streams(self, client: Redis) -> None:
        position, floor = self._updates_id, self._floor_id
        pipe = client.pipeline(transaction=False)
        pipe.xrevrange(self._keys.updates, count=1)
        pipe.xrange(self._keys.updates, count=1)
        pipe.xrevrange(self._keys.events, count=1)
        newest, oldest, newest_event = await pipe.execute()
        self._floor_id = position
        went_back = parts(newest[0][0] if newest else START) < parts(position)
        # Trimming has overtaken where we were at the last look: entries may have gone unread.
        missed = floor != START and bool(oldest) and parts(oldest[0][0]) > parts(floor)
        feed_back = parts(newest_event[0][0] if newest_event else START) < parts(self._events_id)
        if went_back or missed or feed_back:
            raise _Reload

    async def _load_wanted(self, client: Redis) -> None:
        """Load the sources that pages ask for. Updates that come meanwhile win."""
        event = asyncio.Event()
        self._store.on_wanted = event.set
        while True:
            event.clear()
            if not self._store.wanted:
                await event.wait()
                continue
            sources: dict[str, int] = {}
            while self._store.wanted:
                name = self._store.most_wanted
                if name[0] not in sources:
                    sources = await self._asked.sources(client)
                self._store.track(name)
                self._store.load(name, *await self._history(client, name, sources))
                self._changed()

    async def _history(
        self, client: Redis, name: Name, sources: dict[str, int]
    ) -> tuple[Integers, Integers]:
        """Return the buckets and panes of a series, as far back as they are kept."""
        source, resolution = name
        if source not in sources:
            return decode(())
        pipe = client.pipeline(transaction=False)
        for key in keys_of(self._keys, source, resolution, sources[source] // 1000):
            pipe.hgetall(key)
        return decode(await pipe.execute())

    def _apply(self, entries: Iterable[Entry]) -> None:
        for entry_id, fields in entries:
            source = fields.get("source")
            found = decode_pane(fields.get("bucket", ""), fields.get("pane", ""))
            if source and found:
                written_at = self._written_at(entry_id)
                self._store.update(source, *found, written_at, parts(entry_id)[0])

    def _see(self, sources: dict[str, int]) -> None:
        """Note how far sources are; all together are where the flow says, forth or back."""
        now_ms = round((time.monotonic() - self._clock_offset) * 1000)
        self._store.as_of_ms = sources.get(ALL_SOURCES, 0)
        for source, newest_ms in sources.items():
            self._store.see(source, newest_ms, now_ms)

    def _add_to_feed(self, entries: Iterable[Entry]) -> None:
        """Add predictions, oldest first."""
        for entry_id, fields in entries:
            try:
                self._store.feed.appendleft(FeedRow.parse(entry_id, fields.get("prediction", "")))
            except (ValueError, RecursionError) as error:
                logger.warning("entry %s of %s is left out: %s", entry_id, self._keys.events, error)

    def _tell(self, entries: Iterable[Entry]) -> None:
        """Add alerts, oldest first."""
        for entry_id, fields in entries:
            try:
                self._store.tell(AlertRow.parse(fields))
            except ValueError as error:
                logger.warning("entry %s of %s is left out: %s", entry_id, self._keys.alerts, error)

    def _written_at(self, entry_id: str) -> float:
        """Return when Redis wrote an entry, on our monotonic clock and never in the future."""
        return min(parts(entry_id)[0] / 1000 + self._clock_offset, time.monotonic())
