"""`sentistream dlq`: looks at the dead letters, and sends them back."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from dataflows.clients import CONNECT_S, MESSAGE_BYTES, consumer, open_client
from dataflows.contract import Record
from dataflows.dead_letters import DeadLetter, Outgoing
from dataflows.settings import Settings
from dataflows.source import record_of
from dataflows.topics import partitions_of
from infra.offsets import OffsetReader, Offsets
from models.errors import ServiceError

__all__ = ["Box", "Replayed"]

_log = logging.getLogger(__name__)

BATCH: Final = 100  # records that go back in one transaction
ANSWER_S: Final = 30.0
PASSING: Final = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
ASK_AGAIN_S: Final = 0.05


@dataclass
class Replayed:
    """What a replay did.

    Attributes:
        sent: how many went back, by reason.
        looped: how many were left, since they had come back before.
        foreign: how many were left, since they say that they came from another topic.
        gone: places (topic, partition, offset) of those whose value stands nowhere any more.
    """

    sent: Counter[str] = field(default_factory=Counter)
    looped: int = 0
    foreign: int = 0
    gone: list[tuple[str, int, int]] = field(default_factory=list)


class Box:
    """The topic of dead letters.

    Args:
        settings: name the broker and the topics.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kafka = settings.kafka
        self._topic = settings.kafka.dlq_topic

    def total(self) -> int:
        """Return how many records the topic has; blocks while the broker answers.

        Raises:
            ServiceError: the broker does not answer.
        """
        first, end = self._range()
        return sum(end[partition] - first[partition] for partition in end)

    def newest(self, count: int, reasons: Sequence[str] = ()) -> list[DeadLetter]:
        """Return the newest dead letters of each partition, in their order.

        Args:
            count: how many of each partition are looked at.
            reasons: keep these alone; none are all.

        Raises:
            ServiceError: the broker does not answer.
        """
        first, end = self._range()
        start = {n: max(first[n], end[n] - count) for n in end}
        return [x for x in self._read(start, end) if not reasons or x.reason in reasons]

    def one(self, partition: int, offset: int) -> DeadLetter:
        """Return the dead letter at a place.

        Raises:
            ServiceError: there is none, or the broker does not answer.
        """
        first, end = self._range()
        if first.get(partition, 0) <= offset < end.get(partition, 0):
            for letter in self._read({partition: offset}, {partition: offset + 1}):
                return letter
        raise ServiceError(
            f"{self._topic} has no dead letter at partition {partition}, offset {offset}; "
            f"it has {_ranges(first, end)}"
        )

    def replay(
        self, reasons: Sequence[str] = (), *, again: bool = False, dry_run: bool = False
    ) -> Replayed:
        """Send dead letters back to the topic of events, each once.

        Whoever may write dead letters may name any topic in them: those of others are left.

        How far each reason has been replayed is a committed offset of a consumer group of that
        reason, which moves in the same transaction in which the records are sent. So a replay that
        was cut off goes on, and one that is started twice sends nothing twice.

        Args:
            reasons: these alone; none are all.
            again: begin at the first dead letter, and also send those that had come back before.
            dry_run: only tell what would be sent.

        Raises:
            ServiceError: the broker does not answer or refuses a record.
        """
        done = Replayed()
        first, end = self._range()
        with _Transactions(self._settings) as transactions:
            if not dry_run:
                # Before the progress is read: it fences another replay, which then cannot move it.
                transactions.open()
            progress: dict[str, Offsets] = {}
            batch: list[tuple[DeadLetter, Outgoing]] = []
            for letter in self._read(first, end):
                reason, place = letter.reason, letter.partition
                if reasons and reason not in reasons:
                    continue
                if reason not in progress:
                    progress[reason] = {} if again else transactions.committed(reason, list(end))
                if letter.offset < progress[reason].get(place, 0):
                    continue
                if letter.original.topic != self._kafka.topic:
                    done.foreign += 1
                    continue
                whole = self._whole(letter) if letter.shortened else letter
                if whole is None or reason == "unfetchable":
                    original = letter.original
                    done.gone.append((original.topic, original.partition, original.offset))
                    continue
                if whole.replays and not again:
                    done.looped += 1
                    continue
                done.sent[reason] += 1
                if not dry_run:
                    batch.append((whole, whole.replayed()))
                if len(batch) >= BATCH:
                    transactions.send(batch)
                    batch = []
            if batch:
                transactions.send(batch)
        return done

    def _whole(self, letter: DeadLetter) -> DeadLetter | None:
        """Fetch what the topic of dead letters did not let in from where it stood, if it does."""
        original = letter.original
        place = TopicPartition(original.topic, original.partition, original.offset)
        reader = consumer(self._kafka)
        try:
            reader.assign([place])
            message = reader.poll(CONNECT_S)
            if message is None or message.error() or message.offset() != original.offset:
                return None
            return replace(letter, original=record_of(message))
        finally:
            reader.close()

    def _range(self) -> tuple[Offsets, Offsets]:
        with OffsetReader(self._kafka) as reader:
            return reader.read(self._topic, "first"), reader.read(self._topic, "end")

    def _read(self, start: Mapping[int, int], end: Mapping[int, int]) -> Iterator[DeadLetter]:
        """Yield the dead letters from start to end of each partition; tell of other records."""
        foreign = 0
        with OffsetReader(self._kafka) as reader:
            for record in reader.records(self._topic, start, end):
                try:
                    yield DeadLetter.of(record)
                except ValueError as error:
                    foreign += 1
                    _log.debug("%s", error)
        if foreign:
            _log.warning("%d records of %s are no dead letters and are left", foreign, self._topic)


class _Transactions:
    """Sends records and moves the progress of their reasons, both or neither."""

    def __init__(self, settings: Settings) -> None:
        self._kafka, self._topic = settings.kafka, settings.kafka.dlq_topic
        self._producer: Producer | None = None
        self._places: dict[str, list[int]] = {}
        self._groups: dict[str, Consumer] = {}

    def __enter__(self) -> _Transactions:
        return self

    def __exit__(self, *_: object) -> None:
        for group in self._groups.values():
            group.close()

    def committed(self, reason: str, partitions: Sequence[int]) -> Offsets:
        """Return how far a reason has been replayed."""
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        until = time.monotonic() + ANSWER_S
        while True:
            try:
                found = self._group(reason).committed(places, timeout=ANSWER_S)
            except KafkaException as error:
                # Which broker keeps a group is decided when somebody first asks.
                if error.args[0].code() not in PASSING or time.monotonic() > until:
                    raise ServiceError(f"progress of the replay: {error.args[0].str()}") from error
                time.sleep(ASK_AGAIN_S)
            else:
                return {place.partition: max(0, place.offset) for place in found}

    def send(self, batch: Sequence[tuple[DeadLetter, Outgoing]]) -> None:
        """Send a batch.

        Raises:
            ServiceError: the broker refuses it; then nothing of it was sent.
        """
        producer = self.open()
        try:
            producer.begin_transaction()
            for letter, record in batch:
                producer.produce(
                    letter.original.topic,
                    key=record.key,
                    value=record.value,
                    headers=list(record.headers),
                    # Its own place and time, so that its source keeps its order.
                    partition=self._partition(letter.original),
                    timestamp=self._timestamp(letter.original),
                )
            for reason in {letter.reason for letter, _ in batch}:
                reached = {x.partition: x.offset + 1 for x, _ in batch if x.reason == reason}
                producer.send_offsets_to_transaction(
                    [TopicPartition(self._topic, n, offset) for n, offset in reached.items()],
                    self._group(reason).consumer_group_metadata(),
                    ANSWER_S,
                )
            producer.commit_transaction(ANSWER_S)
        except (KafkaException, BufferError) as error:
            _abort(producer)
            raise ServiceError(f"the dead letters were not sent: {error}") from error

    def open(self) -> Producer:
        """Return the producer; another replay that is still at work can send nothing any more.

        Raises:
            ServiceError: the broker does not answer.
        """
        if self._producer is None:
            producer = open_client(
                Producer,
                self._kafka,
                **{
                    # One replay at a time: a second one fences the first.
                    "transactional.id": f"{self._kafka.group}.replay.{self._topic}",
                    "message.max.bytes": MESSAGE_BYTES,
                },
            )
            try:
                producer.init_transactions(ANSWER_S)
            except KafkaException as error:
                raise ServiceError(f"no transactions: {error.args[0].str()}") from error
            self._producer = producer
        return self._producer

    @staticmethod
    def _timestamp(original: Record) -> int:
        """Return its own timestamp (epoch ms), or 0, which is now, if a broker might refuse it."""
        stamp_ms = original.timestamp_ms or 0
        return stamp_ms if stamp_ms <= time.time() * 1000 else 0

    def _partition(self, original: Record) -> int:
        """Return the partition of the original, -1 (by the key) if there is no such one now."""
        if original.topic not in self._places:
            self._places[original.topic] = partitions_of(self._kafka, original.topic)
        return original.partition if original.partition in self._places[original.topic] else -1

    def _group(self, reason: str) -> Consumer:
        if reason not in self._groups:
            group = f"{self._kafka.group}.replay.{self._topic}.{reason}"
            kafka = self._kafka.model_copy(update={"group": group})
            self._groups[reason] = consumer(kafka)
        return self._groups[reason]


def _abort(producer: Producer) -> None:
    try:
        producer.abort_transaction(ANSWER_S)
    except KafkaException as error:
        # One that was fenced has no transaction any more.
        _log.debug("nothing to abort: %s", error.args[0].str())


def _ranges(first: Offsets, end: Offsets) -> str:
    return ", ".join(f"partition {n}: {first[n]} to {end[n] - 1}" for n in end if end[n] > first[n])
