"""The small pictures of a prediction's faces, where the flow keeps them."""

from __future__ import annotations

import json
import logging
import re
from typing import Final, cast

from redis.exceptions import RedisError

from dashboard.feed import FeedRow
from dashboard.redis_client import connect, public_address
from dataflows.keys import THUMBNAILS_MOST, Keys

__all__ = ["Thumbnails"]

logger = logging.getLogger(__name__)

# They go into the page, so nothing but base64 of a small JPEG passes.
BASE64: Final = re.compile(r"/9j/[A-Za-z0-9+/]{1,40000}={0,2}")


class Thumbnails:
    """Reads pictures when somebody looks at a prediction, and keeps none."""

    def __init__(self, url: str, keys: Keys) -> None:
        self._url = url
        self._keys = keys

    async def of(self, row: FeedRow) -> list[str | None]:
        """Return base64 of a JPEG for each of the first faces; None where there is none (any more).

        They are an addition: when Redis is away there are none.
        """
        event_id = json.loads(row.record).get("id")
        if not row.faces or not isinstance(event_id, str):
            return []
        keys = [
            self._keys.thumbnail(event_id, face) for face in range(min(row.faces, THUMBNAILS_MOST))
        ]
        client = connect(self._url)
        try:
            found = cast("list[str | None]", await client.mget(keys))  # decoded
        except (RedisError, OSError, UnicodeDecodeError) as error:
            logger.warning("Redis %s: no thumbnails: %s", public_address(self._url), error)
            return []
        finally:
            await client.aclose()
        return [text if text and BASE64.fullmatch(text) else None for text in found]
