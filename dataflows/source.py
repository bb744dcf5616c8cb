"""Reads a Kafka topic: one Bytewax partition per Kafka partition, exact positions in snapshots."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from operator import methodcaller
from typing import Any, Final, NotRequired, TypedDict

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from dataflows.clients import consumer
from dataflows.contract import Envelope, Record, Rejection, open_envelope
from dataflows.lateness import Lateness
from dataflows.settings import Settings
from dataflows.starting import PartitionPlace, first_offset
from dataflows.stopping import STOPPING
from dataflows.telemetry import TELEMETRY, Place
from dataflows.topics import partitions_of, topic_id
from dataflows.unfetchable import TRIES, Unfetchable
from models.errors import ServiceError

__all__ = ["KafkaSource", "PartitionState", "record_of"]

_log = logging.getLogger(__name__)

Arrival = Envelope | Rejection
IDLE: Final = timedelta(milliseconds=5)  # between two looks at an empty partition
LAG_EVERY: Final = timedelta(seconds=1)
COUNT_EVERY: Final = timedelta(seconds=10)
# The client sets an error and returns headers all the same. Only a call by C code notices that at
# once; Python's own, when it is hot, leaves the error to whatever is called next.
_headers: Final = methodcaller("headers")
COUNT_S: Final = 1.0  # a broker that is away is told of elsewhere


class PartitionState(TypedDict):
    """What a snapshot holds.

    Attributes:
        offset: of the next record.
        newest: newest event time (ms) by source.
        topic_id: what tells the topic from one of the same name that is made later; None if the
            broker does not tell.
    """

    offset: int
    newest: dict[str, int]
    topic_id: NotRequired[str | None]


class KafkaSource(FixedPartitionedSource[Arrival, PartitionState]):
    """The events topic. Emits envelopes and rejections in the order of each partition."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._count = 0  # of partitions, as Bytewax was told
        self._topic_id: str | None = None

    def list_parts(self) -> list[str]:
        """Return one name per Kafka partition."""
        kafka = self._settings.kafka
        partitions = partitions_of(kafka, kafka.topic)
        self._count = len(partitions)
        self._topic_id = topic_id(kafka, kafka.topic)
        return [str(partition) for partition in partitions]

    def build_part(
        self, step_id: str, for_part: str, resume_state: PartitionState | None
    ) -> _Partition:
        """Open one partition where the snapshot says, else where the settings say.

        Raises:
            ServiceError: the topic was made anew since the snapshot.
        """
        before = resume_state.get("topic_id") if resume_state else None
        if before and self._topic_id and before != self._topic_id:
            raise ServiceError(
                f"the topic {self._settings.kafka.topic!r} was deleted and made anew since the "
                "last snapshot, so the offsets in it are of other events; delete the recovery "
                "store to begin again at SENTISTREAM_KAFKA__START"
            )
        place = PartitionPlace(int(for_part), self._count, self._topic_id)
        return _Partition(self._settings, place, resume_state)


class _Partition(StatefulSourcePartition[Arrival, PartitionState]):
    def __init__(
        self, settings: Settings, place: PartitionPlace, state: PartitionState | None
    ) -> None:
        kafka = settings.kafka
        self._topic, self._partition, self._topic_id = kafka.topic, place.partition, place.topic_id
        self._limits, self._ahead_ms = settings.limits, settings.ahead_ms
        self._batch = settings.batch
        self._known = place.partitions
        self._consumer = consumer(kafka)
        if state is None:
            # An explicit offset, so that also the first snapshot names one.
            offset = first_offset(self._consumer, self._topic, place, kafka.start)
            state = {"offset": offset, "newest": {}}
        self._offset = state["offset"]
        self._lateness = Lateness(
            settings.lateness_s * 1000, settings.kept_s * 1000, state["newest"]
        )
        self._consumer.assign([TopicPartition(self._topic, self._partition, self._offset)])
        self._unfetchable = Unfetchable()
        self._snapshotted: int | None = None
        self._committed: int | None = None
        self._awake: datetime | None = None
        self._lag_at = self._count_at = datetime.now(UTC)

    def next_batch(self) -> Iterable[Arrival]:
        """Return what has arrived, at most one batch.

        Raises:
            StopIteration: the flow is to end.
            ServiceError: the partition cannot be read any more.
        """
        if STOPPING.requested:
            raise StopIteration
        arrivals = self._open(self._consumer.consume(self._batch, timeout=0))
        now = datetime.now(UTC)
        self._awake = None if arrivals else now + IDLE
        if now >= self._lag_at:
            self._lag_at = now + LAG_EVERY
            self._report_lag()
        if self._partition == 0 and now >= self._count_at:
            self._count_at = now + COUNT_EVERY
            self._count_partitions()
        return arrivals

    def next_awake(self) -> datetime | None:
        """Return when to look again: at once after a batch, else a little later."""
        return self._awake

    def snapshot(self) -> PartitionState:
        """Return the position after the last event that was returned."""
        self._commit()
        newest = self._lateness.snapshot()
        return {"offset": self._offset, "newest": newest, "topic_id": self._topic_id}

    def _commit(self) -> None:
        """Commit the position of the last snapshot but one, which is on disk by now.

        It is for tools that show lag; what the flow resumes from is its own snapshot.
        """
        committed, self._snapshotted = self._snapshotted, self._offset
        if committed is None or committed == self._committed:
            return
        self._committed = committed
        place = TopicPartition(self._topic, self._partition, committed)
        try:
            self._consumer.commit(offsets=[place], asynchronous=True)
        except KafkaException as error:
            _log.debug("position not committed: %s", error.args[0].str())

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def _open(self, messages: list[Message]) -> list[Arrival]:
        arrivals: list[Arrival] = []
        limits, ahead_ms, is_late = self._limits, self._ahead_ms, self._lateness.is_late
        for message in messages:
            if (error := message.error()) is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    # Behind the last record there may be marks of transactions.
                    self._offset = max(self._offset, message.offset() or 0)
                elif Unfetchable.is_one(error):
                    arrivals += self._pass_over(message.offset() or 0, error)
                else:
                    self._judge(error)
                continue
            record = record_of(message)
            self._offset = record.offset + 1
            arrival = open_envelope(record, limits, ahead_ms)
            if isinstance(arrival, Envelope) and is_late(arrival.source, arrival.time_ms):
                detail = "the event is too far behind the newest one of "
                detail += f"{arrival.source!r} in its partition"
                arrival = Rejection(record, "too_late", detail)
            arrivals.append(arrival)
        TELEMETRY.events.increment(len(arrivals))
        return arrivals

    def _pass_over(self, offset: int, error: KafkaError) -> Iterable[Rejection]:
        """Put a rejection in the place of a record that cannot be fetched, after some tries."""
        offset = max(offset, self._offset)  # it names the first one of the batch
        where = f"partition {self._partition} of {self._topic}, offset {offset}"
        if not self._unfetchable.is_to_pass(offset):
            _log.warning("%s cannot be fetched: %s; trying again", where, error.str())
            return []
        _log.error(
            "%s cannot be fetched and is passed over; its place is among the dead letters: %s",
            where,
            error.str(),
        )
        self._offset = offset + 1
        self._consumer.assign([TopicPartition(self._topic, self._partition, self._offset)])
        place = Record(self._topic, self._partition, offset, None, None, (), None)
        return [Rejection(place, "unfetchable", f"{error.str()} (tried {TRIES} times)")]

    def _judge(self, error: KafkaError) -> None:
        """Log an error that passes; raise one that does not.

        Raises:
            ServiceError: the offset to resume from is gone, or the client cannot go on.
        """
        where = f"partition {self._partition} of {self._topic}"
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise ServiceError(
                f"{where} has no offset {self._offset} any more (the topic was truncated, has "
                "expired or was made anew), so events are lost; delete the recovery store to "
                "begin again at SENTISTREAM_KAFKA__START"
            )
        if error.fatal():
            raise ServiceError(f"{where} cannot be read: {error.str()}")
        _log.warning("%s: %s; trying again", where, error.str())

    def _count_partitions(self) -> None:
        """Tell of partitions that nobody reads; the first partition does it for all."""
        try:
            topics = self._consumer.list_topics(self._topic, timeout=COUNT_S).topics
        except KafkaException as error:
            _log.debug("partitions cannot be counted: %s", error.args[0].str())
            return
        count = len(topics[self._topic].partitions)
        if count > self._known:
            _log.error(
                "%s has %d partitions now, and %d are read: start the flow again, with all its "
                "processes, to read the others too",
                self._topic,
                count,
                self._known,
            )

    def _report_lag(self) -> None:
        # Known from the last fetch, so this asks nobody.
        _, high = self._consumer.get_watermark_offsets(
            TopicPartition(self._topic, self._partition), cached=True
        )
        if high >= 0:
            TELEMETRY.set_place(self._partition, Place(self._offset, high))


def record_of(message: Message) -> Record:
    """Return what the client has read, as it came."""
    kind, timestamp = message.timestamp()
    unreadable = ""
    try:
        headers: Any = _headers(message) or ()  # with bytes alone, where the types allow text too
    except SystemError as error:  # the client makes text of their names
        headers, unreadable = (), f"the name of a header is not UTF-8: {error.__cause__}"
    return Record(
        # There is no message without topic, partition and offset.
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.key(),
        message.value(),
        tuple(headers),
        timestamp if kind and timestamp >= 0 else None,
        unreadable,
        kind == TIMESTAMP_LOG_APPEND_TIME,
    )
