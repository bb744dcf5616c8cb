"""What Redis holds without a stream of changes: heartbeats, rejections, its own memory."""

from __future__ import annotations

import re
import time
from typing import Any, Final, cast

from redis.asyncio import Redis

from dashboard.workers import Heartbeat, Memory, RejectionRow
from dataflows.keys import ALL_SOURCES, Keys

__all__ = ["Poll"]

SCAN_S: Final = 10.0  # looking for new workers walks over all keys, so it is rare
REJECTIONS: Final = 100


class Poll:
    """Asks one Redis again and again."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._worker_keys: set[str] = set()
        self._scanned_at = -SCAN_S

    async def sources(self, client: Redis) -> dict[str, int]:
        """Return newest event time (epoch ms) by source; `*` is there as soon as anything is."""
        members = cast(
            "list[tuple[str, float]]",
            await client.zrange(self._keys.sources, 0, -1, withscores=True),
        )
        sources = {name: int(score) for name, score in members}
        if sources:
            sources.setdefault(ALL_SOURCES, max(sources.values()))
        return sources

    async def heartbeats(self, client: Redis) -> tuple[Heartbeat, ...]:
        """Return the heartbeats that have not expired."""
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

    async def rejections(self, client: Redis) -> tuple[RejectionRow, ...]:
        """Return the newest rejected records, newest first, each once."""
        entries: Any = await client.xrevrange(self._keys.rejections, count=REJECTIONS)
        rows = [RejectionRow.parse(fields) for _id, fields in entries]
        # A crash may tell one twice.
        return tuple({(row.topic, row.partition, row.offset): row for row in rows}.values())

    async def memory(self, client: Redis) -> Memory:
        """Return what Redis uses."""
        return Memory.parse(await client.info("memory"))
