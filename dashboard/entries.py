"""Entries of Redis streams, as the client gives them."""

from __future__ import annotations

from typing import Any, cast

from redis.asyncio import Redis

__all__ = ["Entry", "newest_entries", "parts", "streams"]

Entry = tuple[str, dict[str, str]]  # id and fields


async def newest_entries(client: Redis, stream: str, count: int) -> list[Entry]:
    """Return the newest entries of a stream, newest first."""
    # redis-py's annotations do not know that replies are decoded.
    return cast("list[Entry]", await client.xrevrange(stream, count=count))


def streams(reply: Any) -> list[tuple[str, list[Entry]]]:  # noqa: ANN401
    """Return (stream, entries) of an XREAD reply, which is a list or, in RESP3, a mapping."""
    if not reply:
        return []
    if isinstance(reply, dict):
        # RESP3: each value is a list of lists of entries.
        return [(name, [e for part in parts for e in part]) for name, parts in reply.items()]
    return cast("list[tuple[str, list[Entry]]]", reply)


def parts(entry_id: str) -> tuple[int, int]:
    """Return when an entry was written (epoch ms on the clock of Redis), and which of then."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
