"""Compares the real flow with loops that do less, on one topic."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from bytewax.recovery import init_db_dir
from confluent_kafka import KafkaError, Message, TopicPartition

from dataflows.blocks import MINUTE_S
from dataflows.clients import consumer, producer, redis_client
from dataflows.contract import Envelope, Rejection, open_envelope
from dataflows.edge import read_faces
from dataflows.keys import ALL_SOURCES, Keys
from dataflows.panes import Pane
from dataflows.settings import Settings
from dataflows.source import record_of
from dataflows.topics import ensure_topics, partitions_of
from infra import embedded
from infra.interrupts import interruptible
from infra.pane_load import START_S, Load
from infra.ports import LOOPBACK, Ports
from infra.supervisor import Program, Supervisor
from models.options import Limits
from models.wheels import fetch

__all__ = ["Rates", "flow_rates", "kafka_rates", "steady_rate"]

ROOT: Final = Path(__file__).parents[1]
SKIPPED: Final = 0.2  # of the events, before a rate is taken
TICK_S: Final = 0.02
LIMIT_S: Final = 120.0
AHEAD_MS: Final = 60_000


class Rates(NamedTuple):
    """Events per second in each round.

    Attributes:
        flow: of the real flow.
        bare: of a loop that consumes and gives the value to `json.loads`, and nothing else.
        checked: of one that consumes and makes checked events: headers, source, time, content.
        answered: of one that also writes them to a topic as they came, confirmed batch by batch.
    """

    flow: list[float]
    bare: list[float]
    checked: list[float]
    answered: list[float]


def kafka_rates(settings: Settings, load: Load, count: int, rounds: int) -> Rates:
    """Measure all in turns, with an embedded broker and Redis of their own."""
    with _servers(settings) as (settings, directory):
        ensure_topics(settings)
        _produce(settings, load, count)
        rates = Rates([], [], [], [])
        for number in range(rounds):
            rates.bare.append(steady_rate(_consumed(settings, count, _bare), count))
            rates.checked.append(steady_rate(_consumed(settings, count, _checked), count))
            rates.answered.append(steady_rate(_answered(settings, count), count))
            rates.flow.append(_flow_rate(settings, directory / f"round-{number}", load, count))
    return rates


def flow_rates(
    settings: Settings, loads: Sequence[Load], count: int, rounds: int
) -> list[list[float]]:
    """Return events per second of the real flow by load, in each round; the loads take turns."""
    rates: list[list[float]] = [[] for _ in loads]
    with _servers(settings) as (settings, directory):
        topics = [
            settings.model_copy(
                update={"kafka": settings.kafka.model_copy(update={"topic": f"events-{number}"})}
            )
            for number in range(len(loads))
        ]
        for topic, load in zip(topics, loads, strict=True):
            ensure_topics(topic)
            _produce(topic, load, count)
        for turn in range(rounds):
            for number, (topic, load) in enumerate(zip(topics, loads, strict=True)):
                place = directory / f"round-{turn}-{number}"
                rates[number].append(_flow_rate(topic, place, load, count))
    return rates


@contextmanager
def _servers(settings: Settings) -> Iterator[tuple[Settings, Path]]:
    """Yield settings for an embedded broker and Redis that end with it, and a folder."""
    fetch("centerface")  # here, rather than within the limit of the flow
    with ExitStack() as resources, interruptible():
        directory = Path(resources.enter_context(tempfile.TemporaryDirectory()))
        ports = resources.enter_context(Ports())
        supervisor = resources.enter_context(Supervisor(directory))
        kafka_port, redis_port = ports.free(), ports.free()
        supervisor.start(embedded.broker(kafka_port), embedded.redis_server(redis_port, directory))
        url = type(settings.redis.url)(f"redis://{LOOPBACK}:{redis_port}/0")
        kafka = settings.kafka.model_copy(update={"brokers": f"{LOOPBACK}:{kafka_port}"})
        redis = settings.redis.model_copy(update={"url": url})
        yield settings.model_copy(update={"kafka": kafka, "redis": redis}), directory


def steady_rate(looks: Iterable[tuple[float, int]], count: int) -> float:
    """Return events per second from the first look past the start-up to the last event.

    Args:
        looks: time (s) and how many events were done by then.
        count: of all events.
    """
    first: tuple[float, int] | None = None
    for now, done in looks:
        if first is None and done >= SKIPPED * count:
            first = now, done
        if done >= count:
            if first is None or done == first[1]:
                raise SystemExit("error: too few events to measure; raise --scale")
            return (done - first[1]) / (now - first[0])
    raise SystemExit(f"error: {count} events were not done within {LIMIT_S:g} s")


def _produce(settings: Settings, load: Load, count: int) -> None:
    client = producer(settings.kafka)
    for record in load.records(count):
        while True:
            try:
                client.produce(
                    settings.kafka.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    timestamp=record.timestamp_ms or 0,
                )
                break
            except BufferError:
                client.poll(TICK_S)
    if left := client.flush(LIMIT_S):
        raise SystemExit(f"error: the broker has not taken {left} events")


def _consumed(
    settings: Settings, count: int, work: Callable[[list[Message]], None]
) -> Iterator[tuple[float, int]]:
    """Yield the time and how many events are consumed, and given to `work` batch by batch."""
    kafka, done = settings.kafka, 0
    deadline = time.monotonic() + LIMIT_S
    with closing(consumer(kafka)) as client:
        numbers = partitions_of(kafka, kafka.topic)
        client.assign([TopicPartition(kafka.topic, number, 0) for number in numbers])
        while time.monotonic() < deadline:
            messages = client.consume(settings.batch, timeout=TICK_S)
            # Those with an error tell of the end of a partition.
            messages = [message for message in messages if message.error() is None]
            work(messages)
            done += len(messages)
            yield time.monotonic(), done


def _bare(messages: list[Message]) -> None:
    for message in messages:
        json.loads(message.value() or b"")


def _checked(messages: list[Message]) -> None:
    _read(messages)


def _read(messages: list[Message]) -> list[Envelope]:
    """Do what the flow does to know an event, with the same functions."""
    envelopes = []
    for message in messages:
        envelope = open_envelope(record_of(message), Limits(), AHEAD_MS)
        if isinstance(envelope, Rejection) or read_faces(envelope.value) is None:
            raise SystemExit(f"error: an event is not accepted: {envelope}")
        envelopes.append(envelope)
    return envelopes


def _answered(settings: Settings, count: int) -> Iterator[tuple[float, int]]:
    """Yield the same for a loop that also writes what it has read, and waits for it."""
    client = producer(settings.kafka, tell_successes=False)
    failures: list[str] = []

    def settle(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error.str())

    def answer(messages: list[Message]) -> None:
        for envelope in _read(messages):
            record = envelope.record
            headers: list[Any] = [*record.headers]
            client.produce(
                settings.kafka.predictions_topic,
                key=record.key,
                value=record.value,
                headers=headers,
                on_delivery=settle,
            )
        if client.flush(LIMIT_S) or failures:
            raise SystemExit(f"error: the broker has not taken all: {failures[:1]}")

    return _consumed(settings, count, answer)


def _flow_rate(settings: Settings, directory: Path, load: Load, count: int) -> float:
    """Run the flow over the whole topic, with keys and a recovery store of its own."""
    settings = settings.model_copy(
        update={"redis": settings.redis.model_copy(update={"prefix": f"bench-{uuid.uuid4()}"})}
    )
    recovery = directory / "recovery"
    recovery.mkdir(mode=0o700, parents=True)
    init_db_dir(recovery, 1)  # type: ignore[no-untyped-call]
    program = Program(
        name="flow",
        argv=[
            *(sys.executable, "-P", "-m", "bytewax.run", str(ROOT / "dataflows/sentiment.py")),
            *("-r", str(recovery), "-s", "1", "-b", "0"),
        ],
        ready=lambda: True,
        env={
            "SENTISTREAM_KAFKA__BROKERS": settings.kafka.brokers,
            "SENTISTREAM_KAFKA__TOPIC": settings.kafka.topic,
            "SENTISTREAM_REDIS__URL": settings.redis.url.get_secret_value(),
            "SENTISTREAM_REDIS__PREFIX": settings.redis.prefix,
            "SENTISTREAM_BATCH": str(settings.batch),
            "PYTHONPATH": str(ROOT),
            "ORT_DISABLE_TELEMETRY": "1",
            # Any value makes Bytewax serve its state on all interfaces without a password.
            "BYTEWAX_DATAFLOW_API_ENABLED": None,
        },
    )
    with Supervisor(directory) as supervisor:
        supervisor.start(program)
        return steady_rate(_written(settings, supervisor, load, count), count)


def _written(
    settings: Settings, supervisor: Supervisor, load: Load, count: int
) -> Iterator[tuple[float, int]]:
    """Yield the time and how many events the panes of all sources in Redis count."""
    keys = Keys(settings.redis.prefix)
    minutes = range(START_S, START_S + count // load.per_s + 1, MINUTE_S)
    names = {keys.pane(MINUTE_S, ALL_SOURCES, minute) for minute in minutes}
    deadline = time.monotonic() + LIMIT_S
    with closing(redis_client(settings.redis)) as client:
        while time.monotonic() < deadline:
            supervisor.check()
            hashes = [cast("dict[str, str]", client.hgetall(name)) for name in names]
            panes = [Pane.decode(text) for texts in hashes for text in texts.values()]
            yield time.monotonic(), sum(pane.events for pane in panes)
            time.sleep(TICK_S)
