"""No picture is kept unless that is switched on, and then a small one for five minutes."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image
from streams import Sent, Stream

from dataflows.keys import THUMBNAIL_EXPIRY_S
from models.wheels import fetch

pytestmark = pytest.mark.integration

GROUP = Sent(fetch("multi_face").read_bytes(), {"ce_id": b"group", "content-type": b"image/jpeg"})


def test_by_default_redis_gets_no_picture(stream: Stream) -> None:
    stream.send([GROUP])
    with stream.flow() as flow:
        flow.settle(1)
        assert stream.total().n == 5
    assert list(stream.redis.scan_iter(f"{stream.keys.prefix}:thumbnail:*")) == []
    # Nor anywhere else: a JPEG begins so, also in base64.
    for key in stream.redis.scan_iter(f"{stream.keys.prefix}:*"):
        dumped = stream.redis.get(key) if stream.redis.type(key) == "string" else ""
        assert "/9j/" not in dumped


def test_when_switched_on_each_face_has_a_small_one_for_five_minutes(stream: Stream) -> None:
    stream.send([GROUP])
    with stream.flow(SENTISTREAM_REDIS__THUMBNAILS="true") as flow:
        flow.settle(1)
    keys = {stream.keys.thumbnail("group", face) for face in range(5)}
    assert set(stream.redis.scan_iter(f"{stream.keys.prefix}:thumbnail:*")) == keys
    for key in keys:
        assert 0 < stream.redis.ttl(key) <= THUMBNAIL_EXPIRY_S
        with Image.open(io.BytesIO(base64.b64decode(stream.redis.get(key)))) as picture:
            assert (picture.format, picture.size) == ("JPEG", (96, 96))
