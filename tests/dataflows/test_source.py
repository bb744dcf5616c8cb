"""Where the partitions of a topic are begun."""

from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition
from streams import Sent, Stream

from dataflows.clients import consumer
from dataflows.settings import Settings
from dataflows.source import KafkaSource

pytestmark = pytest.mark.integration


def prepared(stream: Stream, start: str) -> Settings:
    """Put three events on each of the first two partitions.

    One by one, since the embedded broker takes the first of several for the last one.
    """
    for _ in range(3):
        stream.send([Sent(b"a text", partition=partition) for partition in (0, 1)])
    kafka = stream.settings.kafka.model_copy(update={"start": start})
    return stream.settings.model_copy(update={"kafka": kafka})


def first_offset(settings: Settings, partition: int) -> int:
    source = KafkaSource(settings)
    assert str(partition) in source.list_parts()
    part = source.build_part("read", str(partition), None)
    offset = part.snapshot()["offset"]
    part.close()
    return offset


@pytest.mark.parametrize(("start", "offset"), [("earliest", 0), ("latest", 3)])
def test_a_topic_is_begun_where_the_settings_say(
    any_stream: Stream, start: str, offset: int
) -> None:
    settings = prepared(any_stream, start)
    assert first_offset(settings, 1) == offset


def test_a_partition_that_came_after_the_flow_had_begun_is_read_whole(any_stream: Stream) -> None:
    settings = prepared(any_stream, "latest")
    client = consumer(settings.kafka)
    place = TopicPartition(settings.kafka.topic, 0, 1)
    client.commit(offsets=[place], asynchronous=False)
    client.close()
    assert first_offset(settings, 0) == 3  # its recovery store was deleted
    assert first_offset(settings, 1) == 0
