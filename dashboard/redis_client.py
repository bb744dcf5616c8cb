"""The Redis client as the dashboard needs it: decoded, quick to notice a loss, surely ended."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from models.errors import SettingsError

__all__ = ["connect", "end", "public_address"]

SOCKET_TIMEOUT_S: Final = 4.0  # after this an unreachable Redis is reported
CONNECT_TIMEOUT_S: Final = 3.0
CANCEL_AGAIN_S: Final = 0.2


def connect(url: str) -> Redis:
    """Return a client, not connected yet.

    Raises:
        SettingsError: the URL is none of Redis. It is not shown, since it may hold a password.
    """
    try:
        return Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            # Trying again is done by the reader, where it can be seen on the page.
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise SettingsError(
            "SENTISTREAM_REDIS__URL is no Redis URL; it begins with redis://, rediss:// or "
            "unix:// and reads like redis://127.0.0.1:6379/0"
        ) from error


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and wait until they have ended; what they raise is left in them.

    redis-py swallows a cancellation that comes while it opens a connection, so one is not enough
    (and a task group, which cancels once, would wait for ever).
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)


def public_address(url: str) -> str:
    """Return a Redis URL without user, password and options, fit to be shown."""
    parts = urlsplit(url)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # not a number; then there is nothing to show either
        port = ""
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}"
