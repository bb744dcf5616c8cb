"""Reads from Redis what the flow has written: sources, rolling windows, panes."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from dataflows.keys import BUCKETS_PER_BLOCK, Keys
from dataflows.panes import FIELDS, Pane
from dataflows.settings import Settings
from models.errors import ServiceError

__all__ = ["Figures", "connect", "pane_document"]

_log = logging.getLogger(__name__)

# Longer than any XREAD blocks, else a quiet stream looks like a dead server.
SOCKET_TIMEOUT_S: Final = 4.0
CONNECT_TIMEOUT_S: Final = 3.0
STATISTICS: Final = ("valence", "valence_ci95", "confidence")
COUNT_S: Final = 1.0  # who sent a correction does not wait for long
SNAPSHOT_S: Final = 300  # of panes, in a snapshot


def connect(settings: Settings) -> Redis:
    """Return a client, not connected yet.

    Raises:
        ServiceError: the URL is none of Redis.
    """
    try:
        return Redis.from_url(
            settings.redis.url.get_secret_value(),
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # who asks is told at once
            client_name="sentistream-api",
        )
    except ValueError:
        # Its own text may show the password.
        raise ServiceError("SENTISTREAM_REDIS__URL is no Redis URL") from None


def pane_document(bucket: int, text: str) -> dict[str, int] | None:
    """Return a pane as an object, None if it is none of ours."""
    try:
        return {"bucket": bucket, **Pane.decode(text)._asdict()}
    except ValueError:
        return None


class Figures:
    """The figures of all sources.

    Args:
        client: on the event loop that asks; errors of Redis are left to who asks.
        settings: prefix and windows.
    """

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.client = client
        self.keys = Keys(settings.redis.prefix)
        self._windows = settings.windows

    async def sources(self, most: int | None = None) -> list[dict[str, Any]]:
        """Return all sources, or so many, with their newest event times (ms), the newest first."""
        last = -1 if most is None else most - 1
        pairs = await self.client.zrevrange(self.keys.sources, 0, last, withscores=True)
        return [
            {"source": source, "newest_ms": int(score)}
            for source, score in cast("list[tuple[str, float]]", pairs)
        ]

    async def newest_ms(self, source: str) -> int | None:
        """Return the newest event time of a source (epoch ms), None if it is not known."""
        score = await self.client.zscore(self.keys.sources, source)
        return None if score is None else int(score)

    async def rolling(self, source: str) -> dict[str, dict[str, Any]]:
        """Return the rolling windows of a source by seconds; those that are there."""
        pipe = self.client.pipeline(transaction=False)
        for window in self._windows:
            pipe.hgetall(self.keys.rolling(source, window))
        found = await pipe.execute()
        return {
            str(window): _rolling(fields)
            for window, fields in zip(self._windows, found, strict=True)
            if fields
        }

    async def panes(
        self, source: str, resolution_s: int, start: int, end: int
    ) -> list[dict[str, int]]:
        """Return the panes of a source whose buckets begin in [start, end) (epoch s), in order."""
        span = resolution_s * BUCKETS_PER_BLOCK
        pipe = self.client.pipeline(transaction=False)
        first = Keys.block(resolution_s, start)
        for block in range(first, end, span):
            pipe.hgetall(self.keys.pane(resolution_s, source, block))
        panes = [
            pane
            for fields in await pipe.execute()
            for bucket, text in cast("dict[str, str]", fields).items()
            if bucket.isdigit() and start <= int(bucket) < end
            if (pane := pane_document(int(bucket), text)) is not None
        ]
        return sorted(panes, key=lambda pane: pane["bucket"])

    async def count_feedback(self, field: str) -> None:
        """Add 1 to a count of feedback; without Redis it is not counted, which is logged."""
        try:
            async with asyncio.timeout(COUNT_S):
                await self.client.hincrby(self.keys.feedback, field, 1)
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("a correction is on Kafka and not counted in Redis: %r", error)

    async def snapshot(self, source: str) -> dict[str, Any]:
        """Return what a follower begins with: the rolling windows, and the newest 1 s panes."""
        newest_ms = await self.newest_ms(source)
        panes: list[dict[str, int]] = []
        if newest_ms is not None:
            end = newest_ms // 1000 + 1
            panes = await self.panes(source, 1, max(0, end - SNAPSHOT_S), end)
        return {"source": source, "rolling": await self.rolling(source), "panes": panes}


def _rolling(fields: Mapping[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = {"as_of": _integer(fields.get("as_of"))}
    document |= {name: _integer(fields.get(name)) for name in FIELDS}
    return document | {name: _decimal(fields.get(name)) for name in STATISTICS}


def _integer(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _decimal(text: str | None) -> float | None:
    """Return a number; what is not defined is `nan` in Redis, and null in JSON."""
    try:
        number = math.nan if text is None else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
