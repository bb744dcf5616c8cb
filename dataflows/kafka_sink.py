"""Writes predictions and dead letters to Kafka, each confirmed by the broker."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

from bytewax.outputs import DynamicSink, StatelessSinkPartition
from confluent_kafka import KafkaError, KafkaException, Message

from dataflows.clients import producer
from dataflows.contract import Headers, Rejection, format_time
from dataflows.settings import KafkaSettings
from dataflows.steps import Event
from models.errors import ServiceError
from models.prediction import prediction

__all__ = ["KafkaSink", "Outgoing", "dead_letter", "prediction_json", "prediction_record"]

_log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")
WAIT_S: Final = 5.0  # between two lines that say a broker is waited for


class Outgoing(NamedTuple):
    """A record to be written."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def prediction_json(event: Event, versions: Mapping[str, str | None]) -> str:
    """Return the public prediction of an event as JSON, with its source and time."""
    envelope = event.envelope
    document = prediction(envelope.id, event.scored, versions)
    document = {
        "id": document.pop("id"),
        "source": envelope.source,
        "time": format_time(envelope.time_ms),
        **document,
    }
    return json.dumps(document, separators=(",", ":"))


def prediction_record(event: Event, versions: Mapping[str, str | None]) -> Outgoing:
    """Return the record of one prediction, with CloudEvents headers; the key is the source."""
    envelope = event.envelope
    headers = {
        "ce_specversion": "1.0",
        "ce_id": envelope.id,
        "ce_source": envelope.source,
        "ce_time": format_time(envelope.time_ms),
        "ce_type": "sentistream.prediction",
        "content-type": "application/json",
    }
    return Outgoing(
        envelope.source.encode(),
        prediction_json(event, versions).encode(),
        tuple((name, value.encode()) for name, value in headers.items()),
    )


def dead_letter(rejection: Rejection) -> Outgoing:
    """Return the rejected record unchanged, with the reason and where it stood as headers."""
    record = rejection.record
    added = {
        "x-reason": rejection.reason,
        "x-detail": rejection.detail,
        "x-topic": record.topic,
        "x-partition": str(record.partition),
        "x-offset": str(record.offset),
    }
    return Outgoing(
        record.key,
        record.value,
        record.headers + tuple((name, value.encode()) for name, value in added.items()),
    )


class KafkaSink(DynamicSink[ItemT], Generic[ItemT]):
    """Writes items to a topic and returns only when the broker has every one of them.

    A broker that is away is waited for, which holds the whole flow back; nothing is dropped.
    """

    def __init__(
        self, kafka: KafkaSettings, topic: str, to_record: Callable[[ItemT], Outgoing]
    ) -> None:
        self._kafka = kafka
        self._topic = topic
        self._to_record = to_record

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Writer[ItemT]:
        """Open a producer for one worker."""
        return _Writer(self._kafka, self._topic, self._to_record)


class _Writer(StatelessSinkPartition[ItemT]):
    def __init__(
        self, kafka: KafkaSettings, topic: str, to_record: Callable[[ItemT], Outgoing]
    ) -> None:
        self._producer = producer(kafka)
        self._topic = topic
        self._to_record = to_record
        self._failures: list[str] = []

    def write_batch(self, items: list[ItemT]) -> None:
        """Write all items and wait for their confirmation.

        Raises:
            ServiceError: the broker refused a record for good.
        """
        for item in items:
            self._produce(self._to_record(item))
        while remaining := self._producer.flush(WAIT_S):
            _log.warning("waiting for Kafka to confirm %d records of %s", remaining, self._topic)
        if self._failures:
            raise ServiceError(f"Kafka refused a record for {self._topic}: {self._failures[0]}")

    def _produce(self, record: Outgoing) -> None:
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    key=record.key,
                    value=record.value,
                    headers=list(record.headers),
                    on_delivery=self._delivered,
                )
            except BufferError:
                self._producer.poll(0.1)  # the local queue is full until some are delivered
            except KafkaException as error:
                self._failures.append(error.args[0].str())
                return
            else:
                return

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failures.append(error.str())
