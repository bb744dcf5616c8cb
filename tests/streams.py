"""Runs the flow as its users do, as a process, and reads what it has written."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import redis
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from pydantic import SecretStr
from waiting import PATIENCE_S, wait_for

from dataflows.clients import producer
from dataflows.keys import Keys
from dataflows.panes import Pane
from dataflows.settings import KafkaSettings, RedisSettings, Settings
from dataflows.topics import ensure_topics, partitions_of
from infra.offsets import OffsetReader

ROOT = Path(__file__).parents[1]


@dataclass(slots=True)
class Sent:
    """An event that a test sends."""

    value: bytes | None
    headers: dict[str, bytes] = field(default_factory=dict)
    key: str | None = None
    partition: int | None = None
    timestamp_ms: int | None = None


def recovery(folder: Path) -> list[str]:
    """Make a recovery store, and return the options that name it."""
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "bytewax.recovery", str(folder), "1"], check=True)
    return ["-r", str(folder), "-s", "1", "-b", "0"]


class Stream:
    """The topics and keys of one run of the flow."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.settings = Settings(
            kafka=KafkaSettings(
                brokers=environment["SENTISTREAM_KAFKA__BROKERS"],
                topic=environment["SENTISTREAM_KAFKA__TOPIC"],
                predictions_topic=environment["SENTISTREAM_KAFKA__PREDICTIONS_TOPIC"],
                dlq_topic=environment["SENTISTREAM_KAFKA__DLQ_TOPIC"],
                alerts_topic=environment["SENTISTREAM_KAFKA__ALERTS_TOPIC"],
            ),
            redis=RedisSettings(
                url=SecretStr(environment["SENTISTREAM_REDIS__URL"]),
                prefix=environment["SENTISTREAM_REDIS__PREFIX"],
            ),
        )
        self.redis = redis.Redis.from_url(
            environment["SENTISTREAM_REDIS__URL"], decode_responses=True
        )
        self.keys = Keys(self.settings.redis.prefix)
        ensure_topics(self.settings)

    def variant(self, name: str) -> Stream:
        """Return a stream that reads the same events and writes elsewhere."""
        changed = {
            variable: f"{self.environment[variable]}.{name}"
            for variable in (
                "SENTISTREAM_KAFKA__PREDICTIONS_TOPIC",
                "SENTISTREAM_KAFKA__DLQ_TOPIC",
                "SENTISTREAM_KAFKA__ALERTS_TOPIC",
                "SENTISTREAM_REDIS__PREFIX",
            )
        }
        return Stream(self.environment | changed)

    def send(self, events: Sequence[Sent]) -> None:
        """Put events on the topic, and see that the broker has them."""
        client: Producer = producer(self.settings.kafka)
        failures: list[str] = []

        def delivered(error: object, _message: Message) -> None:
            if error is not None:
                failures.append(str(error))

        for event in events:
            place = {} if event.partition is None else {"partition": event.partition}
            if event.timestamp_ms is not None:
                place["timestamp"] = event.timestamp_ms
            client.produce(
                self.settings.kafka.topic,
                event.value,
                key=event.key,
                headers=list(event.headers.items()),
                on_delivery=delivered,
                **place,
            )
            client.poll(0)
        assert client.flush(30) == 0
        assert not failures

    def records(self, topic: str) -> list[Message]:
        """Return all records of a topic, in no order."""
        client = Consumer(
            {
                "bootstrap.servers": self.settings.kafka.brokers,
                "group.id": "test",
                "fetch.wait.max.ms": 10,
                "receive.message.max.bytes": 200_000_000,
            }
        )
        places = [
            TopicPartition(topic, partition, 0)
            for partition in partitions_of(self.settings.kafka, topic)
        ]
        count = self.count(topic)
        client.assign(places)
        records: list[Message] = []

        def read() -> bool:
            records.extend(client.consume(500, timeout=0.2) if count else [])
            return len(records) >= count

        wait_for(read, lambda: f"{len(records)} of {count} records in {topic}")
        client.close()
        assert not any(record.error() for record in records)
        return records

    def count(self, topic: str) -> int:
        """Return how many records a topic has."""
        with OffsetReader(self.settings.kafka) as reader:
            return sum(reader.read(topic, "end").values())

    def reasons(self) -> dict[str, list[str]]:
        """Return the reasons of the dead letters by their key."""
        reasons: dict[str, list[str]] = {}
        for record in self.records(self.settings.kafka.dlq_topic):
            headers = dict(record.headers() or [])
            reasons.setdefault((record.key() or b"").decode(), []).append(
                headers["x-reason"].decode()
            )
        return reasons

    def panes(self, resolution_s: int) -> dict[tuple[str, int], Pane]:
        """Return all panes in Redis of one resolution, by source and bucket."""
        result: dict[tuple[str, int], Pane] = {}
        for key in self.redis.scan_iter(f"{self.keys.prefix}:pane:{resolution_s}:*", count=1000):
            parsed = self.keys.parse_pane(key)
            for bucket, text in self.redis.hgetall(key).items():
                assert parsed.block <= int(bucket) < parsed.block + 60 * resolution_s
                result[parsed.source, int(bucket)] = Pane.decode(text)
        return result

    def total(self, source: str = "*") -> Pane:
        """Return the sum over all 60 s panes of a source."""
        total = Pane()
        for (name, _), pane in self.panes(60).items():
            if name == source:
                total = total.merge(pane)
        return total

    @contextmanager
    def flow(self, *arguments: str, **variables: str) -> Iterator[Flow]:
        """Run the flow for as long as the context lasts."""
        # A file, since a pipe that nobody reads fills up and stops the flow.
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "bytewax.run", "dataflows.sentiment", *arguments],
                cwd=ROOT,
                env=os.environ | self.environment | variables,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                yield Flow(self, process, log)
            finally:
                process.kill()
                process.wait()


class Flow:
    """A running flow."""

    def __init__(self, stream: Stream, process: subprocess.Popen[bytes], log: IO[str]) -> None:
        self._stream = stream
        self._log = log
        self.process = process

    def said(self) -> str:
        """Return what the flow has printed."""
        self._log.seek(0)
        return self._log.read()

    def check(self) -> None:
        """Fail if it has ended."""
        assert self.process.poll() is None, self.said()

    def wait(self, holds: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
        """Wait until something holds, for as long as the flow runs."""
        wait_for(holds, self.said, self.check, patience_s)

    def wait_started(self) -> None:
        """Wait for the first heartbeat, which comes when the flow is about to read."""
        key = self._stream.keys.worker(f"{socket.gethostname()}-{self.process.pid}")
        self.wait(lambda: self._stream.redis.exists(key))

    def settle(self, events: int) -> None:
        """Wait until so many events are accounted for: in panes or among the dead letters."""
        self.wait(lambda: self._accounted() >= events)

    def end(self, limit_s: float, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code, which has to come within so many seconds."""
        self.process.send_signal(number)
        return self.process.wait(limit_s)

    def _accounted(self) -> int:
        dead = self._stream.count(self._stream.settings.kafka.dlq_topic)
        return dead + self._stream.total().events
