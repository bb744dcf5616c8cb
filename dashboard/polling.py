"""What Redis holds without a stream of changes: heartbeats, rejections, drift, its own memory."""

from __future__ import annotations

import math
import re
import time
from typing import Any, Final, cast

from redis.asyncio import Redis

from dashboard.workers import Heartbeat, Memory, RejectionRow
from dataflows.drift_records import DriftRow, newest, parse, places
from dataflows.feedback import Approval, approvals
from dataflows.head import Head
from dataflows.keys import ALL_SOURCES, HEARTBEAT_EXPIRY_S, Keys

__all__ = ["Poll"]

SCAN_S: Final = 10.0  # looking for new workers walks over all keys, so it is rare
REJECTIONS: Final = 100
DRIFT_S: Final = 10.0  # an hour is long, and there may be many sources
DRIFT_HOURS: Final = 3  # of each source


class Poll:
    """Asks one Redis again and again.

    Args:
        keys: names of the keys.
        window_s: one of the rolling windows.
    """

    def __init__(self, keys: Keys, window_s: int) -> None:
        self._keys, self._window_s = keys, window_s
        self._worker_keys: set[str] = set()
        self._scanned_at = -SCAN_S
        self._drift: tuple[DriftRow, ...] = ()
        self._drift_at = -DRIFT_S

    async def sources(self, client: Redis) -> dict[str, int]:
        """Return newest event time (epoch ms) by source; `*`, the head, as soon as any is there."""
        pipe = client.pipeline(transaction=False)
        pipe.zrange(self._keys.sources, 0, -1, withscores=True)
        pipe.hget(self._keys.rolling(ALL_SOURCES, self._window_s), "as_of")
        members, as_of = cast("tuple[list[tuple[str, float]], str | None]", await pipe.execute())
        sources = {name: int(score) for name, score in members if math.isfinite(score)}
        if sources:
            # Where the flow has the windows end; before it has written any, as it would.
            known = as_of is not None and as_of.isascii() and as_of.isdigit()
            head_ms = Head.of(sources).time_ms
            sources[ALL_SOURCES] = int(as_of or 0) * 1000 if known else head_ms
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
            pipe.pttl(name)
        answers = await pipe.execute()
        now = time.monotonic()
        return tuple(
            # Its age is what is gone of its life in Redis, whatever the clocks say.
            Heartbeat.parse(name.removeprefix(prefix), fields)._replace(
                beat_at=now - (HEARTBEAT_EXPIRY_S - left_ms / 1000) if left_ms >= 0 else math.nan
            )
            for name, fields, left_ms in zip(names, answers[::2], answers[1::2], strict=True)
            if fields
        )

    async def rejections(self, client: Redis) -> tuple[RejectionRow, ...]:
        """Return the newest rejected records, newest first, each once."""
        entries: Any = await client.xrevrange(self._keys.rejections, count=REJECTIONS)
        rows = [RejectionRow.parse(fields) for _id, fields in entries]
        # A crash may tell one twice.
        return tuple({(row.topic, row.partition, row.offset): row for row in rows}.values())

    async def drift(self, client: Redis, sources: dict[str, int]) -> tuple[DriftRow, ...]:
        """Return the newest hours of the sources with the newest events, `*` first."""
        if time.monotonic() - self._drift_at >= DRIFT_S:
            asked = places(self._keys, sources)
            pipe = client.pipeline(transaction=False)
            for _source, key in asked:
                pipe.hgetall(key)
            answers = await pipe.execute() if asked else []
            found = zip(asked, answers, strict=True)
            rows = [row for (source, _key), fields in found for row in parse(source, fields)]
            self._drift = tuple(newest(rows, DRIFT_HOURS))
            self._drift_at = time.monotonic()
        return self._drift

    async def approvals(self, client: Redis) -> tuple[Approval, ...]:
        """Return what people say of the predictions."""
        fields = cast("dict[str, str]", await client.hgetall(self._keys.feedback))
        return tuple(approvals(fields))

    async def memory(self, client: Redis) -> Memory:
        """Return what Redis uses."""
        return Memory.parse(await client.info("memory"))
