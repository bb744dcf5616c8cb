"""Counting records by offsets, on the embedded broker."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from dataflows.clients import open_client
from dataflows.settings import Settings
from dataflows.topics import ensure_topics
from infra.offsets import OffsetReader

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("batches", [[1], [1, 250], [40, 40, 40]])
def test_the_end_counts_every_record_of_a_batch(settings: Settings, batches: list[int]) -> None:
    # The embedded broker's own answer for the end counts a batch as one record.
    ensure_topics(settings)
    producer = open_client(Producer, settings.kafka)
    with OffsetReader(settings.kafka) as reader:
        sent = 0
        for size in batches:
            for number in range(size):
                producer.produce(settings.kafka.topic, b"value", key=str(number % 7))
            assert producer.flush(10) == 0
            sent += size
            assert sum(reader.read(settings.kafka.topic, "end").values()) == sent
        assert set(reader.read(settings.kafka.topic, "first").values()) == {0}


def test_records_end_where_told_though_partitions_grow_meanwhile(settings: Settings) -> None:
    ensure_topics(settings)
    topic = settings.kafka.topic
    producer = open_client(Producer, settings.kafka)
    partitions = range(settings.kafka.partitions)
    for number in range(50):
        for partition in partitions:
            producer.produce(topic, f"{partition}/{number}", partition=partition)
    assert producer.flush(10) == 0
    with OffsetReader(settings.kafka) as reader:
        start, end = dict.fromkeys(partitions, 2), dict.fromkeys(partitions, 5)
        records = [record.value for record in reader.records(topic, start, end)]
    expected = {f"{partition}/{n}".encode() for partition in partitions for n in (2, 3, 4)}
    assert len(records) == len(expected)
    assert set(records) == expected


def test_an_empty_topic_ends_where_it_begins(settings: Settings) -> None:
    ensure_topics(settings)
    with OffsetReader(settings.kafka) as reader:
        ends = reader.read(settings.kafka.topic, "end")
        assert ends == dict.fromkeys(range(settings.kafka.partitions), 0)


def test_a_topic_that_is_not_there_has_no_partitions(settings: Settings) -> None:
    with OffsetReader(settings.kafka) as reader:
        assert reader.read("nothing-of-that-name", "end") == {}
