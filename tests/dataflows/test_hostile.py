"""Whatever bytes a record holds, it is scored, a dead letter, or passed over; the flow goes on."""

from __future__ import annotations

import json
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from raw_kafka import GZIP, ZSTD, Raw, batch, produce
from streams import Flow, Sent, Stream, recovery
from waiting import PATIENCE_S, wait_for

from dataflows.topics import ensure_topics
from infra.dlq import Box

pytestmark = pytest.mark.integration

ZEROS = 130_000_000
ZSTD_BLOCK = 128 * 1024
EDGE = json.dumps({"emotions": [{"happiness": 1}]}).encode()
GOOD = Raw(EDGE, b"camera", [(b"content-type", b"application/json")])
CREATED, TOO_LARGE = 0, 10  # Kafka's codes
NO_LEADER = (3, 5, 6)  # of a topic that has just been made: nothing was written


def put(stream: Stream, records: bytes) -> int:
    """Write a batch to the first partition of the events, once that has a leader."""
    kafka = stream.settings.kafka
    codes: list[int] = []

    def answered() -> bool:
        codes.append(produce(kafka.brokers, kafka.topic, 0, records))
        return codes[-1] not in NO_LEADER

    wait_for(answered, lambda: codes[-1])
    return codes[-1]


def zeros(count: int) -> bytes:
    """Return one record with so many zeros, packed by zstd (RFC 8878) into 4 bytes for 128 KiB."""
    head = b"\0\0\0\1" + _varint(count)  # attributes, time, offset, no key
    head = _varint(len(head) + count + 1) + head
    frame = bytes.fromhex("28b52ffd") + bytes([0x00, 0x38])  # a window of 128 KiB
    frame += _block(0, len(head), head)
    left = count + 1  # the last one is the number of headers
    while left:
        size = min(ZSTD_BLOCK, left)
        left -= size
        frame += _block(1, size, b"\0", last=not left)
    return frame


def _varint(number: int) -> bytes:
    rest, out = number << 1, b""
    while rest > 0x7F:
        out += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    return out + bytes([rest])


def _block(kind: int, size: int, content: bytes, *, last: bool = False) -> bytes:
    return struct.pack("<I", last | kind << 1 | size << 3)[:3] + content


@pytest.fixture
def flow(stream: Stream) -> Iterator[Flow]:
    """A running flow."""
    with stream.flow() as running:
        running.wait_started()
        yield running


def test_a_header_whose_name_is_not_utf8_is_refused_and_the_dead_letter_can_be_read(
    stream: Stream, flow: Flow
) -> None:
    put(stream, batch([Raw(b"a text", b"k", [(b"\xff\xfe", b"1")])]))
    put(stream, batch([GOOD]))
    flow.settle(2)
    assert stream.reasons() == {"k": ["bad_header"]}
    assert stream.total("camera").events == 1
    (letter,) = Box(stream.settings).newest(10)
    assert "not UTF-8" in letter.detail
    assert letter.original.value == b"a text"


def test_dead_letters_are_read_past_records_of_others(stream: Stream) -> None:
    kafka = stream.settings.kafka
    strange = batch([Raw(b"not ours", None, [(b"\xff", b"1")])])
    produce(kafka.brokers, kafka.dlq_topic, 0, strange)
    produce(kafka.brokers, kafka.dlq_topic, 0, batch([GOOD], codec=GZIP, packed=b"no gzip"))
    with stream.flow() as flow:
        stream.send([Sent(b"{", {"content-type": b"application/json"}, "k")])
        flow.wait(lambda: stream.redis.xlen(stream.keys.rejections) == 1)
    (letter,) = Box(stream.settings).newest(10)
    assert letter.reason == "bad_json"


def test_a_long_id_is_refused_whatever_the_topic_of_dead_letters_takes(
    stream: Stream, flow: Flow
) -> None:
    long = ("ce_id", b"x" * 600_000)
    stream.send([Sent(EDGE, dict([long]), "k"), Sent(EDGE, {}, "camera")])
    flow.settle(2)
    assert stream.reasons() == {"k": ["bad_header"]}
    assert stream.total("camera").events == 1


def test_what_cannot_be_fetched_is_passed_over_loudly_and_for_good(
    stream: Stream, tmp_path: Path
) -> None:
    options = recovery(tmp_path / "recovery")
    put(stream, batch([GOOD]))
    put(stream, batch([GOOD] * 3, codec=GZIP, packed=b"this is no gzip"))
    put(stream, batch([Raw(b"")], codec=ZSTD, packed=zeros(ZEROS)))
    put(stream, batch([GOOD]))
    with stream.flow(*options) as flow:
        flow.settle(6)
        assert "cannot be fetched and is passed over" in flow.said()
        flow.end(PATIENCE_S, signal.SIGTERM)
    letters = Box(stream.settings).newest(10)
    places = [
        (letter.reason, letter.original.partition, letter.original.offset) for letter in letters
    ]
    assert sorted(places) == [("unfetchable", 0, offset) for offset in (1, 2, 3, 4)]
    assert stream.total("camera").events == 2
    put(stream, batch([GOOD]))
    with stream.flow(*options) as flow:
        flow.wait_started()
        flow.settle(7)
        assert "cannot be fetched" not in flow.said()
    gone = Box(stream.settings).replay(dry_run=True).gone
    assert [offset for _, _, offset in sorted(gone)] == [1, 2, 3, 4]


@pytest.mark.kafka
def test_a_topic_that_the_flow_creates_takes_no_batch_that_swells(
    environment: dict[str, str], kafka_brokers: str
) -> None:
    environment["SENTISTREAM_KAFKA__BROKERS"] = kafka_brokers
    stream = Stream(environment)
    assert put(stream, batch([Raw(b"")], codec=ZSTD, packed=zeros(ZEROS))) == TOO_LARGE
    assert put(stream, batch([Raw(b"")], codec=ZSTD, packed=zeros(1000))) == CREATED
    with stream.flow() as flow:
        flow.settle(1)
    assert stream.reasons() == {"": ["unknown_type"]}


def test_a_topic_that_was_made_anew_is_not_read_on(stream: Stream, tmp_path: Path) -> None:
    options = recovery(tmp_path / "recovery")
    kafka = stream.settings.kafka
    stream.send([Sent(EDGE, {}, "old", partition=0)])
    with stream.flow(*options) as flow:
        flow.settle(1)
        assert flow.end(PATIENCE_S) == 0
    admin = AdminClient({"bootstrap.servers": kafka.brokers})
    admin.delete_topics([kafka.topic])[kafka.topic].result()
    ensure_topics(stream.settings)
    stream.send([Sent(EDGE, {}, "new", partition=0)] * 3)
    with stream.flow(*options) as flow:
        assert flow.process.wait(PATIENCE_S) == 1
        assert "was deleted and made anew" in flow.said()
        assert "Traceback" not in flow.said().splitlines()[-1]
    fresh = recovery(tmp_path / "fresh")
    with stream.flow(*fresh) as flow:
        flow.wait(lambda: stream.total("new").events == 3)


@pytest.mark.parametrize("name", ["events", "rejections", "alerts", "sources", "updates"])
def test_a_key_of_another_type_in_redis_does_not_hold_up_panes(stream: Stream, name: str) -> None:
    stream.redis.set(getattr(stream.keys, name), "somebody's")
    with stream.flow() as flow:
        stream.send([Sent(EDGE, {}, "camera"), Sent(b"{", {"content-type": b"application/json"})])
        flow.settle(2)
        assert stream.total("camera").events == 1
        flow.wait(lambda: stream.redis.zscore(stream.keys.sources, "camera"))


def test_a_broken_producer_does_not_stop_a_flow_that_has_accepted_enough(stream: Stream) -> None:
    broken = Sent(None, {}, "broken")
    with stream.flow(SENTISTREAM_REJECTIONS__IN_A_ROW="100") as flow:
        stream.send([Sent(EDGE, {}, "camera")] * 1100)
        flow.settle(1100)
        stream.send([broken] * 300)
        flow.settle(1400)
        stream.send([Sent(EDGE, {}, "camera")])
        flow.settle(1401)
    assert stream.total("camera").events == 1101


def test_a_prediction_that_its_topic_refuses_is_written_without_its_parts(
    environment: dict[str, str], stream: Stream
) -> None:
    """The client refuses it here, as a topic with a lower limit would."""
    faces = {"emotions": [{"happiness": 1}] * 900}
    limit = json.dumps({"message.max.bytes": 100_000})
    with stream.flow(SENTISTREAM_KAFKA__CLIENT=limit) as flow:
        stream.send([Sent(json.dumps(faces).encode(), {}, "camera"), Sent(EDGE, {}, "camera")])
        flow.settle(2)
        flow.wait(lambda: stream.count(stream.settings.kafka.predictions_topic) == 2)
    written = stream.records(stream.settings.kafka.predictions_topic)
    short, whole = sorted((json.loads(one.value() or b"") for one in written), key=_faces)
    assert (short["faces"], short["shortened"], short["valence"]) == ([], True, 1.0)
    assert len(whole["faces"]) == 1
    assert "shortened" not in whole
    assert stream.total("camera").n == 901
    # The feed takes no more than somebody would look at, either.
    feed = [
        json.loads(fields["prediction"]) for _, fields in stream.redis.xrange(stream.keys.events)
    ]
    assert sorted(feed, key=_faces) == [short, whole]


def _faces(prediction: dict[str, list[object]]) -> int:
    return len(prediction["faces"])
