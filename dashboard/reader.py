"""Redis into the store: history from the hashes, then the streams from a remembered id.

The newest ids are read before the hashes, so nothing falls between the two; applying an entry
twice changes nothing. One reader serves all pages of a process.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from dashboard.feed import FeedRow
from dashboard.redis_client import connect, end, public_address
from dashboard.series import KEEP_S
from dashboard.store import FEED_ROWS, Store
from dashboard.workers import Heartbeat
from dataflows.keys import ALL_SOURCES, BUCKETS_PER_BLOCK, Keys
from dataflows.panes import Pane

__all__ = ["Reader"]

logger = logging.getLogger(__name__)

BLOCK_MS: Final = (
    1000  # well below the socket timeout, else a quiet stream looks like a dead server
)
RETRY_S: Final = 0.5
POLL_S: Final = 2.0
SCAN_S: Final = 10.0  # looking for new workers walks over all keys, so it is rare
READ_COUNT: Final = 2000
START: Final = "0-0"
MOST: Final = 2**53  # no honest sum is larger; what is would not fit in 64 bits when added up

Entry = tuple[str, dict[str, str]]  # id and fields of a stream entry


class _Reload(Exception):
    """The streams no longer continue where we stopped: read everything again."""


class Reader:
    """Keeps a store equal to what is in Redis, and calls `changed` after each change.

    Args:
        url: Redis URL.
        keys: names of the keys.
        store: what is written to.
        changed: called on the event loop, must not block.
    """

    def __init__(self, url: str, keys: Keys, store: Store, changed: Callable[[], None]) -> None:
        self._url = url
        self._keys = keys
        self._store = store
        self._changed = changed
        self._updates_id = START
        self._events_id = START
        self._floor_id = START  # our place in the updates at the last look at the streams
        self._clock_offset = 0.0  # our monotonic clock minus Redis's time of day, in seconds
        self._worker_keys: set[str] = set()
        self._scanned_at = -SCAN_S

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
        loops = (self._follow, self._poll, self._load_wanted)
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
        newest = await _newest(client, self._keys.updates, 1)
        self._updates_id = self._floor_id = newest[0][0] if newest else START
        feed = await _newest(client, self._keys.events, FEED_ROWS)
        self._events_id = feed[0][0] if feed else START
        sources = await self._sources(client)
        tracked = {ALL_SOURCES, *self._store.tracked}
        history = {name: await self._history(client, name, sources) for name in tracked}
        workers = await self._heartbeats(client)

        store = self._store
        store.reset(history)
        store.workers = workers
        for source, newest_ms in sources.items():
            store.see(source, newest_ms)
        if newest:
            store.updated_at = self._written_at(newest[0][0])
        self._add_to_feed(reversed(feed))

    async def _follow(self, client: Redis) -> None:
        updates, events = self._keys.updates, self._keys.events
        while True:
            reply = await client.xread(
                {updates: self._updates_id, events: self._events_id},
                count=READ_COUNT,
                block=BLOCK_MS,
            )
            for name, entries in _streams(reply):
                if name == updates:
                    self._apply(entries)
                    self._updates_id = entries[-1][0]
                else:
                    self._add_to_feed(entries)
                    self._events_id = entries[-1][0]
                self._changed()

    async def _poll(self, client: Redis) -> None:
        """Refresh what has no stream, and notice when the streams have started again."""
        while True:
            await asyncio.sleep(POLL_S)
            await self._check_streams(client)
            before = (self._store.workers, dict(self._store.sources), self._store.newest_ms)
            for source, newest_ms in (await self._sources(client)).items():
                self._store.see(source, newest_ms)
            self._store.workers = await self._heartbeats(client)
            if before != (self._store.workers, self._store.sources, self._store.newest_ms):
                self._changed()

    async def _check_streams(self, client: Redis) -> None:
        position, floor = self._updates_id, self._floor_id
        pipe = client.pipeline(transaction=False)
        pipe.xrevrange(self._keys.updates, count=1)
        pipe.xrange(self._keys.updates, count=1)
        pipe.xrevrange(self._keys.events, count=1)
        newest, oldest, newest_event = await pipe.execute()
        self._floor_id = position
        went_back = _parts(newest[0][0] if newest else START) < _parts(position)
        # Trimming has overtaken where we were at the last look: entries may have gone unread.
        missed = floor != START and bool(oldest) and _parts(oldest[0][0]) > _parts(floor)
        feed_back = _parts(newest_event[0][0] if newest_event else START) < _parts(self._events_id)
        if went_back or missed or feed_back:
            raise _Reload

    async def _load_wanted(self, client: Redis) -> None:
        """Load the sources that pages ask for. Updates that come meanwhile win."""
        event = asyncio.Event()
        self._store.on_wanted = event.set
        while True:
            event.clear()
            wanted = sorted(self._store.wanted)
            if not wanted:
                await event.wait()
                continue
            sources = await self._sources(client)
            for source in wanted:
                self._store.track(source)
                self._store.load(source, await self._history(client, source, sources))
            self._changed()

    async def _sources(self, client: Redis) -> dict[str, int]:
        """Return newest event time (epoch ms) by source; `*` is there as soon as anything is."""
        members = cast(
            "list[tuple[str, float]]",
            await client.zrange(self._keys.sources, 0, -1, withscores=True),
        )
        sources = {name: int(score) for name, score in members}
        if sources:
            sources.setdefault(ALL_SOURCES, max(sources.values()))
        return sources

    async def _history(
        self, client: Redis, source: str, sources: dict[str, int]
    ) -> list[tuple[int, Pane]]:
        """Return the buckets and panes of the newest hour of a source."""
        if source not in sources:
            return []
        newest = sources[source] // 1000
        first = Keys.block(1, newest - KEEP_S)
        pipe = client.pipeline(transaction=False)
        for block in range(first, newest + 1, BUCKETS_PER_BLOCK):
            pipe.hgetall(self._keys.pane(1, source, block))
        hashes = await pipe.execute()
        items = [item for fields in hashes for item in fields.items()]
        return sorted(_panes(items))

    async def _heartbeats(self, client: Redis) -> tuple[Heartbeat, ...]:
        prefix = self._keys.worker("")
        if time.monotonic() - self._scanned_at >= SCAN_S:
            pattern = re.sub(r"([\[\]*?\\])", r"\\\1", prefix) + "*"
            self._worker_keys = {key async for key in client.scan_iter(match=pattern, count=2000)}
            self._scanned_at = time.monotonic()
        names = sorted(self._worker_keys)
        if not names:
            return ()
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.hgetall(name)
        found = zip(names, await pipe.execute(), strict=True)
        return tuple(
            Heartbeat.parse(name.removeprefix(prefix), item) for name, item in found if item
        )

    def _apply(self, entries: Iterable[Entry]) -> None:
        for entry_id, fields in entries:
            source = fields.get("source")
            pairs = [(fields.get("bucket", ""), fields.get("pane", ""))]
            for bucket, pane in _panes(pairs):
                if source:
                    self._store.update(source, bucket, pane, self._written_at(entry_id))

    def _add_to_feed(self, entries: Iterable[Entry]) -> None:
        """Add predictions, oldest first."""
        for entry_id, fields in entries:
            try:
                self._store.feed.appendleft(FeedRow.parse(entry_id, fields.get("prediction", "")))
            except ValueError as error:
                logger.warning("entry %s of %s is left out: %s", entry_id, self._keys.events, error)

    def _written_at(self, entry_id: str) -> float:
        """Return when Redis wrote an entry, on our monotonic clock and never in the future."""
        return min(_parts(entry_id)[0] / 1000 + self._clock_offset, time.monotonic())


def _panes(items: Iterable[tuple[str, str]]) -> Iterator[tuple[int, Pane]]:
    """Decode buckets and panes; what is unreadable is reported and left out."""
    for bucket, pane in items:
        try:
            start, decoded = int(bucket), Pane.decode(pane)
            if max(map(abs, (start, *decoded))) > MOST:
                raise ValueError(f"a number is too large: {pane!r}")
            yield start, decoded
        except ValueError as error:
            logger.warning("a pane of bucket %r is left out: %s", bucket, error)


async def _newest(client: Redis, stream: str, count: int) -> list[Entry]:
    """Return the newest entries of a stream, newest first."""
    # redis-py's annotations do not know that replies are decoded.
    return cast("list[Entry]", await client.xrevrange(stream, count=count))


def _streams(reply: Any) -> list[tuple[str, list[Entry]]]:  # noqa: ANN401
    """Return (stream, entries) of an XREAD reply, which is a list or, in RESP3, a mapping."""
    if not reply:
        return []
    if isinstance(reply, dict):
        # RESP3: each value is a list of lists of entries.
        return [(name, [e for part in parts for e in part]) for name, parts in reply.items()]
    return cast("list[tuple[str, list[Entry]]]", reply)


def _parts(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
