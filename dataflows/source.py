"""Reads a Kafka topic: one Bytewax partition per Kafka partition, exact positions in snapshots."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypedDict

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from dataflows.clients import consumer, partitions_of
from dataflows.contract import Envelope, Record, Rejection, open_envelope
from dataflows.lateness import Lateness
from dataflows.settings import Settings
from dataflows.stopping import STOPPING
from dataflows.telemetry import TELEMETRY, Place
from models.errors import ServiceError

__all__ = ["KafkaSource", "PartitionState", "record_of"]

_log = logging.getLogger(__name__)

Arrival = Envelope | Rejection
IDLE: Final = timedelta(milliseconds=5)  # between two looks at an empty partition
LAG_EVERY: Final = timedelta(seconds=1)
COUNT_EVERY: Final = timedelta(seconds=10)
ANSWER_S: Final = 5.0  # then it is asked again, maybe another broker
RETRY_S: Final = 0.2
# What passes: a broker that has died, and a partition that has no new leader yet.
_PASSING: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._DESTROY_BROKER,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
    }
)
COUNT_S: Final = 1.0  # a broker that is away is told of elsewhere


class PartitionState(TypedDict):
    """What a snapshot holds: the next offset, and the newest event time (ms) by source."""

    offset: int
    newest: dict[str, int]


class KafkaSource(FixedPartitionedSource[Arrival, PartitionState]):
    """The events topic. Emits envelopes and rejections in the order of each partition."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._count = 0  # of partitions, as Bytewax was told

    def list_parts(self) -> list[str]:
        """Return one name per Kafka partition."""
        kafka = self._settings.kafka
        partitions = partitions_of(kafka, kafka.topic)
        self._count = len(partitions)
        return [str(partition) for partition in partitions]

    def build_part(
        self, step_id: str, for_part: str, resume_state: PartitionState | None
    ) -> _Partition:
        """Open one partition where the snapshot says, else where the settings say."""
        return _Partition(self._settings, int(for_part), self._count, resume_state)


class _Partition(StatefulSourcePartition[Arrival, PartitionState]):
    def __init__(
        self, settings: Settings, partition: int, count: int, state: PartitionState | None
    ) -> None:
        kafka = settings.kafka
        self._topic, self._partition = kafka.topic, partition
        self._max_bytes = settings.limits.max_bytes
        self._batch = settings.batch
        self._known = count
        self._consumer = consumer(kafka)
        if state is None:
            # An explicit offset, so that also the first snapshot names one.
            state = {"offset": self._first_offset(kafka.start), "newest": {}}
        self._offset = state["offset"]
        self._lateness = Lateness(
            settings.lateness_s * 1000, settings.kept_s * 1000, state["newest"]
        )
        self._consumer.assign([TopicPartition(self._topic, partition, self._offset)])
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
        return {"offset": self._offset, "newest": self._lateness.snapshot()}

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
        max_bytes, is_late = self._max_bytes, self._lateness.is_late
        for message in messages:
            if (error := message.error()) is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    # Behind the last record there may be marks of transactions.
                    self._offset = max(self._offset, message.offset() or 0)
                else:
                    self._judge(error)
                continue
            record = record_of(message)
            self._offset = record.offset + 1
            arrival = open_envelope(record, max_bytes)
            if isinstance(arrival, Envelope) and is_late(arrival.source, arrival.time_ms):
                detail = "the event is too far behind the newest one of "
                detail += f"{arrival.source!r} in its partition"
                arrival = Rejection(record, "too_late", detail)
            arrivals.append(arrival)
        TELEMETRY.events.increment(len(arrivals))
        return arrivals

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

    def _first_offset(self, start: str) -> int:
        """Return where to begin; a broker that is away is waited for.

        Raises:
            ServiceError: the offsets cannot be read, now or later.
        """
        where = f"the offsets of partition {self._partition} of {self._topic}"
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(
                    TopicPartition(self._topic, self._partition), timeout=ANSWER_S
                )
                return int(low) if start == "earliest" or self._is_new() else int(high)
            except KafkaException as error:
                reason = error.args[0]
                if not (reason.retriable() or reason.code() in _PASSING):
                    raise ServiceError(f"{where} cannot be read: {reason.str()}") from error
                _log.warning("%s: %s; trying again", where, reason.str())
                STOPPING.check("Kafka")
                time.sleep(RETRY_S)
                self._look_for_leader()

    def _look_for_leader(self) -> None:
        """Ask any broker who leads now; by itself the client goes on asking one that has died."""
        try:
            self._consumer.list_topics(self._topic, timeout=ANSWER_S)
        except KafkaException as error:
            _log.debug("the leader cannot be asked for: %s", error.args[0].str())

    def _is_new(self) -> bool:
        """Whether the flow has read other partitions before, and never this one.

        Then what is in it came after the flow had begun, and none of it may be left out.

        Raises:
            KafkaException: the committed positions cannot be read.
        """
        places = [TopicPartition(self._topic, number) for number in range(self._known)]
        committed = self._consumer.committed(places, timeout=ANSWER_S)
        read = {place.partition for place in committed if place.offset >= 0}
        return bool(read) and self._partition not in read

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
    headers: Any = message.headers() or ()  # with bytes alone, where the types allow text too
    return Record(
        # There is no message without topic, partition and offset.
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.key(),
        message.value(),
        tuple(headers),
        timestamp if kind and timestamp >= 0 else None,
    )
