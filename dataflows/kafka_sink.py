"""Writes predictions and dead letters to Kafka, each confirmed by the broker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final, Generic, TypeVar

from bytewax.outputs import DynamicSink, StatelessSinkPartition
from confluent_kafka import KafkaError, KafkaException, Message

from dataflows.clients import producer
from dataflows.contract import format_time
from dataflows.dead_letters import Outgoing
from dataflows.events import Event, shortened
from dataflows.settings import KafkaSettings
from dataflows.stopping import STOPPING
from models.errors import ServiceError

__all__ = ["KafkaSink", "prediction_record", "short_prediction"]

_log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")
Settle = Callable[..., None]  # given the error, which may be None, and maybe the message
WAIT_S: Final = 5.0  # between two lines that say a broker is waited for
LOOK_S: Final = 0.5  # between two looks whether the flow is to end
_VERSION: Final = ("ce_specversion", b"1.0")
_TYPE: Final = ("ce_type", b"sentistream.prediction")
_CONTENT: Final = ("content-type", b"application/json")


def prediction_record(event: Event) -> Outgoing:
    """Return the record of one prediction, with CloudEvents headers; the key is the source."""
    envelope = event.envelope
    source = envelope.source.encode()
    return Outgoing(
        source,
        event.prediction.encode(),
        (
            _VERSION,
            ("ce_id", envelope.id.encode()),
            ("ce_source", source),
            ("ce_time", format_time(envelope.time_ms).encode()),
            _TYPE,
            _CONTENT,
        ),
    )


def short_prediction(record: Outgoing) -> Outgoing:
    """Return the record of a prediction in a shorter form."""
    return record._replace(value=shortened((record.value or b"{}").decode()).encode())


class KafkaSink(DynamicSink[ItemT], Generic[ItemT]):
    """Writes items to a topic and returns only when the broker has every one of them.

    A broker that is away is waited for, which holds the whole flow back; nothing is dropped.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        to_record: Callable[[ItemT], Outgoing],
        shorten: Sequence[Callable[[Outgoing], Outgoing]] = (),
    ) -> None:
        """Write to `topic` what `to_record` makes of an item.

        Args:
            kafka: the settings of the broker.
            topic: where to.
            to_record: makes the record.
            shorten: each makes a shorter one of a record that the topic's limit does not let in,
                the next one more so.
        """
        self._kafka = kafka
        self._topic = topic
        self._to_record = to_record
        self._shorten = shorten

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Writer[ItemT]:
        """Open a producer for one worker."""
        return _Writer(self._kafka, self._topic, self._to_record, self._shorten)


class _Writer(StatelessSinkPartition[ItemT]):
    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        to_record: Callable[[ItemT], Outgoing],
        shorten: Sequence[Callable[[Outgoing], Outgoing]],
    ) -> None:
        self._producer = producer(kafka, tell_successes=False)
        self._topic = topic
        self._to_record = to_record
        self._shorten = shorten
        self._too_large: list[Outgoing] = []
        self._failures: list[str] = []

    def write_batch(self, items: list[ItemT]) -> None:
        """Write all items and wait for their confirmation.

        Raises:
            ServiceError: the broker refused a record for good.
        """
        for item in items:
            record = self._to_record(item)
            self._produce(record, self._keep(record))
        self._flush()
        refused, self._too_large = self._too_large, []
        for record in refused:
            self._write_alone(record)
        if self._failures:
            raise ServiceError(f"Kafka refused a record for {self._topic}: {self._failures[0]}")

    def _write_alone(self, record: Outgoing) -> None:
        """Write again what was refused as too large: Kafka refuses a whole batch for one record.

        If it is so by itself, shorter forms are tried; nothing that is too large ends the flow.
        """
        forms = chain([record], (shorten(record) for shorten in self._shorten))
        for number, form in enumerate(forms):
            self._produce(form, self._keep(form))
            self._flush()
            if not self._too_large:
                if number:
                    _log.warning(
                        "a record of %d bytes is more than %s takes (max.message.bytes); it is "
                        "written in a shorter form, with a value of %d bytes",
                        len(record.value or b""),
                        self._topic,
                        len(form.value or b""),
                    )
                return
            self._too_large.clear()
        _log.error(
            "a record is more than %s takes (max.message.bytes), in whatever form, and is left "
            "out: %r",
            self._topic,
            {name: value[:100] if value else value for name, value in record.headers[-8:]},
        )

    def _flush(self) -> None:
        said = time.monotonic()
        while remaining := self._producer.flush(LOOK_S):
            STOPPING.check("Kafka")
            if time.monotonic() - said > WAIT_S:
                said = time.monotonic()
                _log.warning(
                    "waiting for Kafka to confirm %d records of %s", remaining, self._topic
                )

    def _settle(self, error: KafkaError | None, _message: Message | None = None) -> None:
        if error is not None:
            self._failures.append(error.str())

    def _keep(self, record: Outgoing) -> Settle:
        def settle_or_keep(error: KafkaError | None, _message: Message | None = None) -> None:
            if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                self._too_large.append(record)
            else:
                self._settle(error)

        return settle_or_keep

    def _produce(self, record: Outgoing, settle: Settle) -> None:
        headers: list[Any] = [*record.headers]
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    key=record.key,
                    value=record.value,
                    headers=headers,
                    on_delivery=settle,
                )
            except BufferError:
                STOPPING.check("Kafka")
                self._producer.poll(0.1)  # the local queue is full until some are delivered
            except KafkaException as error:
                settle(error.args[0])
                return
            else:
                return
