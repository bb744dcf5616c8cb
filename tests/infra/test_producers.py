"""Sending events to the embedded broker, and what is said when that fails."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from PIL import Image
from rich.console import Console
from waiting import wait_for

from dataflows.clients import open_client
from dataflows.contract import Envelope, Record, open_envelope
from dataflows.settings import Settings, load_settings
from infra.embedded import broker as broker_program
from infra.frames import Item
from infra.ports import Ports
from infra.producers import Sender, send_all
from infra.supervisor import Supervisor

pytestmark = pytest.mark.integration


def records(settings: Settings, expected: int) -> list[Message]:
    """Read the events topic from the beginning until so many records have come."""
    options = {"group.id": "test", "auto.offset.reset": "earliest", "fetch.wait.max.ms": 10}
    consumer = open_client(Consumer, settings.kafka, **options)
    topic = settings.kafka.topic
    consumer.assign([TopicPartition(topic, n, 0) for n in range(settings.kafka.partitions)])
    found: list[Message] = []

    def read() -> bool:
        found.extend(one for one in consumer.consume(100, timeout=0.1) if one.error() is None)
        return len(found) >= expected

    wait_for(read, lambda: f"{len(found)} of {expected} records")
    consumer.close()
    return found


def test_an_event_carries_its_content_and_cloudevents_headers(settings: Settings) -> None:
    with Sender(settings) as sender:
        sender.send(Item(b"\xff\xd8 picture", "image/jpeg"), "camera-1")
    (message,) = records(settings, 1)
    headers = dict(message.headers() or [])
    assert message.value() == b"\xff\xd8 picture"
    assert message.key() == b"camera-1"
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_source"] == b"camera-1"
    assert headers["ce_type"] == b"sentistream.image"
    assert headers["content-type"] == b"image/jpeg"
    at = datetime.fromisoformat(str(headers["ce_time"], "ascii"))  # type: ignore[arg-type]
    assert at.timestamp() * 1000 == pytest.approx(message.timestamp()[1], abs=0.5)
    assert set(headers) == {
        "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"
    }  # fmt: skip


def test_the_stream_understands_what_is_sent(settings: Settings) -> None:
    with Sender(settings) as sender:
        sender.send(Item("schön".encode(), "text/plain"), "chat: general")
    (message,) = records(settings, 1)
    record = Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=message.key(),
        value=message.value(),
        headers=tuple(message.headers() or ()),  # type: ignore[arg-type]
        timestamp_ms=message.timestamp()[1],
    )
    envelope = open_envelope(record, settings.limits, settings.ahead_ms)
    assert isinstance(envelope, Envelope)
    assert (envelope.source, envelope.content_type) == ("chat: general", "text/plain")
    assert envelope.time_ms == message.timestamp()[1]


def test_ids_differ_and_events_of_one_source_stay_in_order(settings: Settings) -> None:
    with Sender(settings) as sender:
        for number in range(300):
            sender.send(Item(b"%d" % number, "text/plain"), "one")
    assert sender.tally.delivered == 300
    messages = records(settings, 300)
    assert [message.value() for message in messages] == [b"%d" % n for n in range(300)]
    assert len({dict(message.headers() or [])["ce_id"] for message in messages}) == 300


def test_every_delivery_is_counted(settings: Settings) -> None:
    with Sender(settings) as sender:
        for _ in range(50):
            sender.send(Item(b"x" * 1000, "text/plain"), "source")
    tally = sender.tally
    assert (tally.sent, tally.delivered, tally.failed, tally.sent_bytes) == (50, 50, 0, 50_000)
    assert tally.last_error == ""


def test_an_event_that_the_client_refuses_is_a_failure_with_its_reason(
    settings: Settings,
) -> None:
    kafka = settings.kafka.model_copy(update={"client": {"message.max.bytes": 10_000}})
    with Sender(settings.model_copy(update={"kafka": kafka})) as sender:
        sender.send(Item(b"x" * 20_000, "image/jpeg"), "source")
        sender.send(Item(b"x", "image/jpeg"), "source")
    assert (sender.tally.sent, sender.tally.delivered, sender.tally.failed) == (2, 1, 1)
    assert "size" in sender.tally.last_error.lower()


def test_events_are_failures_when_the_broker_goes_away(
    clean_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Ports() as ports:
        port = ports.free()
        clean_environment.setenv("SENTISTREAM_KAFKA__BROKERS", f"127.0.0.1:{port}")
        with Supervisor(tmp_path) as supervisor:
            supervisor.start(broker_program(port))
            sender = Sender(load_settings())
            sender.send(Item(b"before", "text/plain"), "source")
            sender.close()
        for _ in range(5):
            sender.send(Item(b"after", "text/plain"), "source")
        tally = sender.close(limit_s=1.0)
    assert (tally.sent, tally.delivered, tally.failed) == (6, 1, 5)
    assert tally.last_error


def test_items_are_sent_when_they_are_due(settings: Settings) -> None:
    seen: list[float] = []
    now = [100.0]

    class Recorder(Sender):
        def send(self, item: Item, source: str) -> None:
            seen.append(now[0])

        def wait(self, seconds: float) -> None:
            now[0] += seconds

    items = [Item(b"a", "text/plain", due) for due in (0.0, 0.5, None, 2.0, 1.0)]
    with Recorder(settings) as sender:
        send_all(sender, items, "source", Console(file=io.StringIO()), clock=lambda: now[0])
    assert seen == pytest.approx([100.0, 100.5, 100.5, 102.0, 102.0])


def test_progress_is_not_written_where_nobody_looks(settings: Settings) -> None:
    output = io.StringIO()
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "JPEG")
    with Sender(settings) as sender:
        send_all(sender, [Item(picture.getvalue(), "image/jpeg")], "s", Console(file=output))
    assert output.getvalue() == ""
