"""No picture is kept unless that is switched on, and then a small one for five minutes."""

from __future__ import annotations

import base64
import io

import pytest
import redis
from PIL import Image
from streams import Sent, Stream

from dataflows.keys import THUMBNAIL_EXPIRY_S

pytestmark = pytest.mark.integration

HEADERS = {"ce_id": b"group", "content-type": b"image/jpeg"}


def everything(stream: Stream) -> str:
    """Return what Redis holds of this test, each byte as one character."""
    client = redis.Redis.from_url(
        stream.settings.redis.url.get_secret_value(), encoding="latin-1", decode_responses=True
    )
    read = {
        "string": client.get,
        "hash": client.hgetall,
        "stream": client.xrange,
        "zset": lambda key: client.zrange(key, 0, -1),
    }
    keys = list(client.scan_iter(f"{stream.keys.prefix}:*"))
    return "".join(str(read[client.type(key)](key)) for key in keys)


def test_by_default_redis_gets_no_picture(stream: Stream, group: bytes) -> None:
    stream.send([Sent(group, HEADERS)])
    with stream.flow() as flow:
        flow.settle(1)
        assert stream.total().n == 5
    assert list(stream.redis.scan_iter(f"{stream.keys.prefix}:thumbnail:*")) == []
    # Nor anywhere else: a JPEG begins with these bytes, and so in base64.
    kept = everything(stream)
    assert "group" in kept  # the prediction is there
    assert "/9j/" not in kept
    assert repr("\xff\xd8\xff")[1:-1] not in kept


def test_when_switched_on_each_face_has_a_small_one_for_five_minutes(
    stream: Stream, group: bytes
) -> None:
    stream.send([Sent(group, HEADERS)])
    with stream.flow(SENTISTREAM_REDIS__THUMBNAILS="true") as flow:
        flow.settle(1)
    assert "/9j/" in everything(stream)
    keys = {stream.keys.thumbnail("group", face) for face in range(5)}
    assert set(stream.redis.scan_iter(f"{stream.keys.prefix}:thumbnail:*")) == keys
    for key in keys:
        assert 0 < stream.redis.ttl(key) <= THUMBNAIL_EXPIRY_S
        with Image.open(io.BytesIO(base64.b64decode(stream.redis.get(key)))) as picture:
            assert (picture.format, picture.size) == ("JPEG", (96, 96))
