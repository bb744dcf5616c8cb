"""Writes all panes again when Redis has lost some: after a restart, a failover or a FLUSHALL.

Each worker looks at Redis once a second. A witness, one key a worker, holds the `run_id` of the
server that has all of the worker's panes. When the server is another one or the witness is gone,
the worker asks its sources to tell all their panes once more, on the same way as every change, so
an older value never follows a newer one. The witness is set when all of them are written; a worker
that dies before that finds no witness at its next start, and begins again.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import redis
from bytewax.inputs import DynamicSource, StatelessSourcePartition

from dataflows.clients import redis_client, redis_location
from dataflows.keys import Keys
from dataflows.settings import RedisSettings
from dataflows.stopping import STOPPING

__all__ = ["RedisWatch", "Rewrites", "rewrites"]

_log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(seconds=1)
ANSWER_S: Final = 0.5  # while Redis is away, its writers wait for it, not the watch
# The sources are asked in so many parts, so that not all panes are on their way at once.
PARTS: Final = 32
PART_EVERY: Final = timedelta(milliseconds=20)


@dataclass(slots=True)
class Rewrites:
    """What one worker knows of rewriting; a worker is a thread.

    Attributes:
        sources: those whose minutes are in the state of this worker.
        asked: minutes that were asked to tell their panes.
        written: minutes that have told them, and are in Redis.
    """

    sources: set[str] = field(default_factory=set)
    asked: int = 0
    written: int = 0


_by_thread: Final[dict[int, Rewrites]] = {}


def rewrites() -> Rewrites:
    """Return what the calling worker knows.

    `threading.local` does not do: Python forgets the threads of Bytewax, which it has not started,
    whenever they let go of the interpreter's lock.
    """
    return _by_thread.setdefault(threading.get_ident(), Rewrites())


class RedisWatch(DynamicSource[str]):
    """Emits the sources that have to tell all their panes again."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Watch:
        """Watch for one worker."""
        return _Watch(self._settings, worker_index)


class _Watch(StatelessSourcePartition[str]):
    def __init__(self, settings: RedisSettings, worker: int) -> None:
        self._client = redis_client(
            settings, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=None
        )
        self._where = redis_location(settings)
        self._key = Keys(settings.prefix).witness(worker)
        self._server: str | None = None  # that is to be the witness once all is written
        self._part = PARTS  # the next part of the sources to be asked
        self._awake = datetime.now(UTC)

    def next_batch(self) -> Iterable[str]:
        """Return the next part of the sources that have to write again, mostly none.

        Raises:
            StopIteration: the flow is to end.
        """
        if STOPPING.requested:
            raise StopIteration
        now = datetime.now(UTC)
        if self._part < PARTS:
            part, self._part = self._part, self._part + 1
            self._awake = now + PART_EVERY
            return [name for name in rewrites().sources if _part_of(name) == part]
        self._awake = now + LOOK_EVERY
        try:
            self._look()
        except redis.RedisError as error:
            # The writers of panes report it and wait.
            _log.debug("Redis at %s cannot be looked at: %s", self._where, error)
        return []

    def next_awake(self) -> datetime | None:
        """Return when to look again."""
        return self._awake

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _look(self) -> None:
        server = str(self._client.info("server").get("run_id", ""))
        if self._client.get(self._key) == server:
            return
        known = rewrites()
        if self._server != server:
            # Also at the very first start, where there is nothing to write yet.
            if known.sources:
                _log.warning(
                    "Redis at %s is not the one that was written to, or has lost what was: all "
                    "panes in the state are written again",
                    self._where,
                )
            self._server, self._part = server, 0
            known.asked = known.written = 0
        elif known.written >= known.asked:
            self._client.set(self._key, server)
            self._server = None


def _part_of(source: str) -> int:
    return zlib.crc32(source.encode()) % PARTS
