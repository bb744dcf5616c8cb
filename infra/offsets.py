"""How many records a topic has received, counted by exact offsets."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dataflows.clients import open_client
from dataflows.contract import Record
from dataflows.settings import KafkaSettings
from dataflows.source import record_of
from dataflows.unfetchable import Unfetchable
from models.errors import ServiceError

__all__ = ["OffsetReader", "Offsets"]

_log = logging.getLogger(__name__)

Offsets = dict[int, int]  # partition → offset
BATCH = 1000
LOOK_S = 0.05  # consume() waits as long as this, unless it has a whole batch
ANSWER_S = 5.0  # a broker answers in milliseconds; after this it is taken for unreachable


class OffsetReader:
    """Reads the first and the end offsets of topics.

    The end is taken from the answer to a fetch of the last record: the embedded broker answers a
    plain query for the end with the first offset of the last batch plus one, which can be far too
    low. On Apache Kafka both are the same.

    Args:
        kafka: the settings of the broker.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._consumer = open_client(
            Consumer,
            kafka,
            **{
                "group.id": "sentistream",  # demanded by the client; nothing is committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def read(self, topic: str, edge: Literal["first", "end"]) -> Offsets:
        """Return the first or the end offset of each partition; blocks while the broker answers.

        The end is the offset that the next record will get. A topic that is not there has no
        partitions.

        Raises:
            ServiceError: the broker does not answer.
        """
        try:
            ranges = {
                partition: self._consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=ANSWER_S, cached=False
                )
                for partition in self._partitions(topic)
            }
            if edge == "first":
                return {partition: low for partition, (low, _) in ranges.items()}
            ends = {partition: high for partition, (_, high) in ranges.items()}
            filled = [
                TopicPartition(topic, partition, high - 1)
                for partition, (low, high) in ranges.items()
                if high > low
            ]
            return ends | self._fetched_ends(filled)
        except KafkaException as error:
            raise ServiceError(f"Kafka does not answer for the topic {topic!r}: {error}") from error

    def records(
        self, topic: str, start: Mapping[int, int], end: Mapping[int, int]
    ) -> Iterator[Record]:
        """Yield the records of a topic from `start` to before `end` of each partition, in no order.

        What is in neither begins at 0. What cannot be fetched is logged and passed over.

        Raises:
            ServiceError: the broker gives no more, or an offset is gone.
        """
        left = {n: offset for n, offset in end.items() if start.get(n, 0) < offset}
        next_offset = {n: start.get(n, 0) for n in left}
        unfetchable: dict[int, Unfetchable] = defaultdict(Unfetchable)
        self._consumer.assign([TopicPartition(topic, n, start.get(n, 0)) for n in left])
        deadline = time.monotonic() + ANSWER_S
        try:
            while left:
                messages = self._consumer.consume(BATCH, timeout=LOOK_S)
                if messages:
                    deadline = time.monotonic() + ANSWER_S
                elif time.monotonic() > deadline:
                    raise ServiceError(f"Kafka gives no more records of {topic!r}")
                for message in messages:
                    partition, offset = message.partition() or 0, message.offset() or 0
                    if partition not in left:
                        continue  # read to its end already; it has grown meanwhile
                    offset, error = max(offset, next_offset[partition]), message.error()
                    reached = offset + 1
                    if error is None:
                        if offset < left[partition]:
                            yield record_of(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        reached = offset
                    elif not Unfetchable.is_one(error):
                        raise ServiceError(f"{topic!r} cannot be read: {error.str()}")
                    elif unfetchable[partition].is_to_pass(offset):
                        where = f"partition {partition} of {topic}, offset {offset}"
                        _log.warning("%s cannot be fetched: %s", where, error.str())
                        self._consumer.seek(TopicPartition(topic, partition, reached))
                    else:
                        continue
                    next_offset[partition] = reached
                    if reached >= left[partition]:
                        del left[partition]
        finally:
            self._consumer.unassign()

    def _partitions(self, topic: str) -> list[int]:
        metadata = self._consumer.list_topics(topic, timeout=ANSWER_S).topics[topic]
        if metadata.error is not None:
            if metadata.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return []
            raise KafkaException(metadata.error)
        return sorted(metadata.partitions)

    def _fetched_ends(self, last_records: Sequence[TopicPartition]) -> Offsets:
        """Fetch from each position, and return the end offset that came with the answer."""
        if not last_records:
            return {}
        by_partition: dict[int | None, TopicPartition] = {x.partition: x for x in last_records}
        self._consumer.assign(list(last_records))
        ends: Offsets = {}
        deadline = time.monotonic() + ANSWER_S
        try:
            while len(ends) < len(last_records):
                message = self._consumer.poll(0.1)
                if message is None:
                    if time.monotonic() > deadline:
                        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
                    continue
                error = message.error()
                answers = error is None or error.code() == KafkaError._PARTITION_EOF
                if error is not None and not (answers or Unfetchable.is_one(error)):
                    raise KafkaException(error)
                answered = by_partition[message.partition()]
                _, ends[answered.partition] = self._consumer.get_watermark_offsets(
                    answered, cached=True
                )
        finally:
            self._consumer.unassign()
        return ends
