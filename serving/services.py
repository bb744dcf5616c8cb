"""What the routes work with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.exceptions import RedisError

from dataflows.settings import Settings
from models.live import Use
from serving.batching import Batcher
from serving.bodies import Bodies
from serving.figures import Figures
from serving.metrics import Metrics
from serving.problems import Problem
from serving.publishing import Publisher
from serving.receipts import Receipts

__all__ = ["Services", "in_time", "redis_answers"]

RETRY_S = 2.0


@dataclass(frozen=True)
class Services:
    """The parts of one API."""

    settings: Settings
    batcher: Batcher
    bodies: Bodies
    figures: Figures
    publisher: Publisher
    receipts: Receipts
    metrics: Metrics
    uses: Callable[[], Mapping[str, Use]]


@asynccontextmanager
async def in_time(timeout_s: float) -> AsyncIterator[None]:
    """Bound the time of a block.

    Raises:
        Problem: `too_slow`.
    """
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise Problem("too_slow", f"there was no answer within {timeout_s:g} s", RETRY_S) from None


@asynccontextmanager
async def redis_answers() -> AsyncIterator[None]:
    """Turn what Redis raises into a problem.

    Raises:
        Problem: `redis_away`.
    """
    try:
        yield
    except (RedisError, OSError) as error:
        detail = f"Redis does not answer ({type(error).__name__}); see SENTISTREAM_REDIS__URL"
        raise Problem("redis_away", detail, RETRY_S) from error
