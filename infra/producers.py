"""Sends events to Kafka: content with CloudEvents headers, every delivery checked."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dataflows.clients import MESSAGE_BYTES, open_client
from dataflows.contract import format_time
from dataflows.settings import Settings
from dataflows.topics import ensure_topics
from infra.frames import Item

__all__ = ["Sender", "Tally", "progress_line", "send_all"]

DELIVERY_MS = 30_000  # librdkafka retries for so long before it gives an event up
CLOSE_S = 35.0  # a little more than DELIVERY_MS, so that each event ends delivered or failed
INTERRUPTED_S = 3.0  # after a Ctrl-C nobody wants to wait for a broker that is away
QUEUE_KB = 65_536  # what may wait in memory for the broker; more makes the sender wait
WAIT_S = 0.2  # longest sleep at once, so that deliveries are counted while waiting


@dataclass
class Tally:
    """What became of the events of one sender.

    Attributes:
        sent: given to the sender.
        sent_bytes: their content.
        delivered: acknowledged by the broker.
        failed: given up, or refused at once.
        last_error: the newest error in words, empty if there was none.
    """

    sent: int = 0
    sent_bytes: int = 0
    delivered: int = 0
    failed: int = 0
    last_error: str = ""


class Sender:
    """Sends events to the topic of the settings; owns one Kafka producer.

    The producer is idempotent, so a retry neither doubles nor reorders events. Events of one source
    have one key, hence one partition, and stay in order.

    Raises:
        ServiceError: no broker answers, or the topic cannot be created.
    """

    def __init__(self, settings: Settings) -> None:
        ensure_topics(settings)
        self.tally = Tally()
        self._topic = settings.kafka.topic
        self._producer = open_client(
            Producer,
            settings.kafka,
            **{
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": DELIVERY_MS,
                "queue.buffering.max.kbytes": QUEUE_KB,
                # The broker has the last word on sizes; librdkafka's own limit is 1 MB.
                "message.max.bytes": MESSAGE_BYTES,
                "error_cb": self._on_error,
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(CLOSE_S if error is None else INTERRUPTED_S)

    def send(self, item: Item, source: str) -> None:
        """Hand one event to the producer; blocks only while its queue is full."""
        now_ms = time.time_ns() // 1_000_000
        family = "text" if item.content_type.startswith("text/") else "image"
        headers: list[tuple[str, str | bytes | None]] = [
            ("ce_specversion", b"1.0"),
            ("ce_id", str(uuid.uuid4()).encode()),
            ("ce_source", source.encode()),
            ("ce_type", f"sentistream.{family}".encode()),
            ("ce_time", format_time(now_ms).encode()),
            ("content-type", item.content_type.encode()),
        ]
        self.tally.sent += 1
        self.tally.sent_bytes += len(item.value)
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    value=item.value,
                    key=source.encode(),
                    headers=headers,
                    timestamp=now_ms,
                    on_delivery=self._on_delivery,
                )
            except BufferError:
                self._producer.poll(WAIT_S)
            except KafkaException as error:  # such as a value that is too large
                self._fail(error.args[0])
                return
            else:
                self._producer.poll(0)
                return

    def wait(self, seconds: float) -> None:
        """Block for so long, and count deliveries meanwhile."""
        self._producer.poll(max(0.0, seconds))

    def close(self, limit_s: float = CLOSE_S) -> Tally:
        """Wait until each event is delivered or failed; what is left after the limit failed."""
        if self._producer.flush(limit_s) > 0:
            self._producer.purge()
            self._producer.flush(1.0)
        return self.tally

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.tally.delivered += 1
        else:
            self._fail(error)

    def _on_error(self, error: KafkaError) -> None:
        self.tally.last_error = error.str()

    def _fail(self, error: KafkaError) -> None:
        self.tally.failed += 1
        self.tally.last_error = error.str()


def send_all(
    sender: Sender,
    items: Iterable[Item],
    source: str,
    console: Console,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Send each item when it is due, and show a line of progress if the console is a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("")
        start = clock()
        for item in items:
            while item.due_s is not None and (ahead := start + item.due_s - clock()) > 0:
                sender.wait(min(ahead, WAIT_S))
            sender.send(item, source)
            bar.update(task, description=progress_line(sender.tally, source, clock() - start))


def progress_line(tally: Tally, source: str, elapsed_s: float = 0.0) -> str:
    """Return the figures in one line, for people; the rate only if a time is given."""
    speed = f" ({tally.delivered / elapsed_s:.1f}/s)" if elapsed_s > 0 else ""
    line = (
        f"{source}: {tally.sent} sent ({tally.sent_bytes / 1e6:.1f} MB), "
        f"{tally.delivered} delivered{speed}, {tally.failed} failed"
    )
    return f"{line}; last error: {tally.last_error}" if tally.last_error else line
