"""Tells sources when their minutes have to speak, or to go.

Each worker looks after the sources in its state, on the same way as every change, so an older
value never follows a newer one:

- **After a restart** the minutes tell the rolling windows what was there. This cannot be left to
  the minutes themselves: Bytewax lets a state speak while it still loads others, and what a
  rolling window has heard by then is gone when its own state is loaded. An input speaks only
  when all is loaded.
- **Redis has lost something**: after a restart, a failover or a FLUSHALL. A witness, one key a
  worker, holds the `run_id` of the server that has all of the worker's panes. When the server is
  another one or the witness is gone, a mark is set and all panes are told once more. When all are
  written and the mark is still there, it becomes the witness; if it is gone, or a worker finds one
  that it has not set itself, they are told again.
- **A source is idle**, behind all others in event time by more than panes are kept and windows are
  long, and silent: its minutes leave the state.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import redis
from bytewax.inputs import DynamicSource, StatelessSourcePartition

from dataflows.blocks import Order, horizon_s
from dataflows.clients import redis_client, redis_location
from dataflows.keys import ALL_SOURCES, Keys
from dataflows.settings import Settings
from dataflows.stopping import STOPPING
from dataflows.worker import this_worker

__all__ = ["Orders"]

_log = logging.getLogger(__name__)

WAKE_EVERY: Final = timedelta(milliseconds=20)
LOOK_EVERY: Final = timedelta(seconds=1)
SILENT_S: Final = 15.0  # so that a source that sends what is old may do so in peace
ANSWER_S: Final = 0.5  # while Redis is away, its writers wait for it, not this
# The sources are asked in so many parts, so that not all panes are on their way at once.
PARTS: Final = 32


class Orders(DynamicSource[tuple[str, Order]]):
    """Emits orders by source."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Orders:
        """Look after the sources of one worker."""
        return _Orders(self._settings, worker_index)


class _Orders(StatelessSourcePartition[tuple[str, Order]]):
    def __init__(self, settings: Settings, worker: int) -> None:
        self._client = redis_client(
            settings.redis, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=None
        )
        self._where = redis_location(settings.redis)
        self._key = Keys(settings.redis.prefix).witness(worker)
        self._idle_s = settings.idle_s
        # Sources that are behind all others, and the clock when they were first seen there.
        self._behind: dict[tuple[str, int], float] = {}
        self._told = False  # whether this worker has told all its panes once
        self._part = PARTS  # the next part of the sources to be asked
        self._awake = self._look_at = datetime.now(UTC)

    def next_batch(self) -> Iterable[tuple[str, Order]]:
        """Return the next orders, mostly none.

        Raises:
            StopIteration: the flow is to end.
        """
        if STOPPING.requested:
            raise StopIteration
        now = datetime.now(UTC)
        self._awake = now + WAKE_EVERY
        worker = this_worker()
        orders = [(source, Order.RESTORE) for source in worker.resumed]
        worker.resumed.clear()
        if self._part < PARTS:
            part, self._part = self._part, self._part + 1
            orders += [(name, Order.TELL) for name in worker.sources if _part_of(name) == part]
        elif now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            orders += [(source, Order.LEAVE) for source in self._idle()]
            try:
                self._look()
            except redis.RedisError as error:
                # The writers of panes report it and wait.
                _log.debug("Redis at %s cannot be looked at: %s", self._where, error)
                self._client.connection_pool.disconnect()  # there may be another server by now
        return orders

    def next_awake(self) -> datetime | None:
        """Return when to look again."""
        return self._awake

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _idle(self) -> list[str]:
        """Return the sources that no event can reach any more that `*` would count as well."""
        worker = this_worker()
        horizon_ms = horizon_s(worker.head.shared_ms, self._idle_s) * 1000
        now = time.monotonic()
        behind = {
            (source, newest_ms): self._behind.get((source, newest_ms), now)
            for source, newest_ms in worker.sources.items()
            if newest_ms < horizon_ms and source != ALL_SOURCES
        }
        self._behind = behind
        return [source for (source, _), since in behind.items() if now - since > SILENT_S]

    def _look(self) -> None:
        server = str(self._client.info("server").get("run_id", ""))
        writing = f"{server} is written to"
        witness = self._client.get(self._key)
        if witness == server:
            return
        worker = this_worker()
        if worker.written < worker.asked:
            return
        if not self._told or witness != writing:
            # Also at the very first start, where there is nothing to write yet.
            if worker.sources:
                _log.warning(
                    "Redis at %s is not the one that was written to, or has lost what was: all "
                    "panes in the state are written again",
                    self._where,
                )
            self._client.set(self._key, writing)
            worker.asked = worker.written = 0
            self._part, self._told = 0, True
        else:
            # Only if the mark is still there: no loss has come between.
            self._client.set(self._key, server, xx=True)


def _part_of(source: str) -> int:
    return zlib.crc32(source.encode()) % PARTS
