"""What of a kept picture reaches the page."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import numpy as np
import pytest

from dashboard.feed import FeedRow
from dashboard.thumbnails import Thumbnails
from dataflows.keys import Keys
from models.thumbnails import thumbnail

pytestmark = pytest.mark.integration

PICTURE = base64.b64encode(thumbnail(np.zeros((160, 160, 3), np.uint8))).decode()


def row(event_id: object, faces: int) -> FeedRow:
    record = json.dumps({"id": event_id})
    return FeedRow("1-0", 0, "camera-1", faces, "", 0, None, None, record)


def look(thumbnails: Thumbnails, at: FeedRow) -> list[str | None]:
    return asyncio.run(thumbnails.of(at))


def test_each_face_has_its_own_or_none(redis_server: Any, writer: Any) -> None:
    for face, value in enumerate([PICTURE, None, '"><script>', PICTURE + "=" * 3, PICTURE]):
        if value is not None:
            writer.client.set(writer.keys.thumbnail("a:b", face), value)
    thumbnails = Thumbnails(redis_server.url, Keys())
    assert look(thumbnails, row("a:b", 5)) == [PICTURE, None, None, None, PICTURE]
    assert look(thumbnails, row("a:b", 1)) == [PICTURE]
    assert look(thumbnails, row("other", 2)) == [None, None]
    assert look(thumbnails, row("a:b", 0)) == []
    assert look(thumbnails, row(None, 3)) == []


def test_without_redis_there_are_none(redis_server: Any) -> None:
    redis_server.stop()
    assert look(Thumbnails(redis_server.url, Keys()), row("a", 3)) == []
