"""Writes records to Kafka for requests, and says of each whether the broker has it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from dataflows.clients import MESSAGE_BYTES, open_client
from dataflows.dead_letters import Outgoing
from dataflows.settings import Settings
from dataflows.topics import ensure_topics
from models.errors import ServiceError
from serving.problems import Problem

__all__ = ["Publisher"]

_log = logging.getLogger(__name__)

RETRY_S: Final = 5.0  # what a client is told
AGAIN_S: Final = 1.0  # between two attempts to find the topics
POLL_S: Final = 0.05
LOOK_S: Final = 2.0  # for so long the answer of the broker counts
ANSWER_S: Final = 2.0
FLUSH_S: Final = 2.0
# Of the time that a request has: the outcome has to be known before.
SHARE: Final = 0.6
DELIVERY_S: Final = 5.0


class Publisher:
    """Owns one idempotent producer, and the thread that hears of its deliveries.

    Args:
        settings: the broker, and the time that a request has.

    Raises:
        ServiceError: librdkafka does not take an option of the user.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        limit_s = min(DELIVERY_S, SHARE * settings.api.timeout_s)
        self._producer = open_client(
            Producer,
            settings.kafka,
            **{
                "enable.idempotence": True,
                "linger.ms": 1,
                "message.timeout.ms": max(1, round(limit_s * 1000)),
                "message.max.bytes": MESSAGE_BYTES,
                "compression.type": "none",  # pictures are compressed already
            },
        )
        self._found_topics = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._seen = (0.0, False)  # when the broker was asked last, and whether it answered

    def start(self) -> None:
        """Look for the topics, which are created if they are not there, and listen."""
        self._thread.start()

    def stop(self) -> None:
        """Wait a little for what is under way, and end; blocks."""
        self._producer.flush(FLUSH_S)
        self._stopping.set()
        self._thread.join(FLUSH_S)

    async def publish(self, topic: str, records: Sequence[Outgoing], timestamp_ms: int) -> None:
        """Write records, and return when the broker has all of them.

        Raises:
            Problem: `kafka_away`, with the indices of those that are confirmed; of the others
                nothing is known but that no confirmation came in time.
        """
        if not self._found_topics:
            raise self._away("no broker has answered since the start", [])
        loop = asyncio.get_running_loop()
        futures = [self._produce(loop, topic, record, timestamp_ms) for record in records]
        errors = await asyncio.gather(*futures)
        failed = [error for error in errors if error is not None]
        if failed:
            confirmed = [index for index, error in enumerate(errors) if error is None]
            _log.warning("%d of %d records: Kafka says %s", len(failed), len(errors), failed[0])
            raise self._away(failed[0], confirmed)

    async def answers(self) -> bool:
        """Return whether the broker answers, as of the last seconds."""
        at, answered = self._seen
        if time.monotonic() - at > LOOK_S:
            answered = await asyncio.to_thread(self._ask)
            self._seen = time.monotonic(), answered
        return answered

    def _ask(self) -> bool:
        if not self._found_topics:
            return False
        try:
            self._producer.list_topics(self._settings.kafka.topic, timeout=ANSWER_S)
        except KafkaException:
            return False
        return True

    def _produce(
        self, loop: asyncio.AbstractEventLoop, topic: str, record: Outgoing, timestamp_ms: int
    ) -> asyncio.Future[str | None]:
        future: asyncio.Future[str | None] = loop.create_future()

        def settle(error: KafkaError | None, _message: Message | None = None) -> None:
            loop.call_soon_threadsafe(_settle, future, None if error is None else error.str())

        headers: list[Any] = [*record.headers]
        try:
            self._producer.produce(
                topic,
                key=record.key,
                value=record.value,
                headers=headers,
                timestamp=timestamp_ms,
                on_delivery=settle,
            )
        except BufferError:
            future.set_result("too many records wait for the broker")
        except KafkaException as error:
            future.set_result(error.args[0].str())
        return future

    def _away(self, detail: str, confirmed: list[int]) -> Problem:
        where = self._settings.kafka.brokers
        detail = f"Kafka at {where}: {detail}; what is not confirmed may be sent again"
        return Problem("kafka_away", detail, RETRY_S, confirmed=confirmed)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._found_topics:
                self._producer.poll(POLL_S)
                continue
            try:
                ensure_topics(self._settings)
                self._found_topics = True
            except ServiceError as error:
                _log.warning("%s; trying again", error)
                self._stopping.wait(AGAIN_S)


def _settle(future: asyncio.Future[str | None], error: str | None) -> None:
    if not future.done():  # else the request was given up
        future.set_result(error)
