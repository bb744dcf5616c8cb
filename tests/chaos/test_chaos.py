"""The promise, tried by breaking things on purpose: Redis is a function of the topic's content."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import apache_kafka
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from streams import Stream
from traffic import Mix, traffic
from world import World

from infra.ports import LOOPBACK, Ports
from infra.supervisor import Program, Supervisor

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

KILLS = 4
EVENTS = 6000


@pytest.fixture
def world(environment: dict[str, str], kafka_brokers: str, tmp_path: Path) -> World:
    """Return an empty topic on a real Kafka, and its flow."""
    return World(Stream(environment | {"SENTISTREAM_KAFKA__BROKERS": kafka_brokers}), tmp_path)


def test_a_flow_that_is_killed_loses_nothing_and_counts_nothing_twice(world: World) -> None:
    world.send(traffic(EVENTS, seed=1))
    figures = world.run_until(world.oracle(), KILLS, random.Random(1), longest_s=2.0)
    assert figures["kills"] == KILLS


def test_a_downtime_makes_no_event_late(world: World) -> None:
    world.send(traffic(EVENTS // 2, seed=2))
    generator = random.Random(2)
    for _ in range(2):
        with world.stream.flow(*world.options) as flow:
            flow.wait_started()
            time.sleep(generator.random())
        time.sleep(5)
    world.send(traffic(EVENTS // 2, seed=3))
    expected = world.oracle()
    with world.stream.flow(*world.options) as flow:
        world.settle(flow, expected)
    world.check_dead_letters(expected)


def test_partitions_may_be_hours_apart_and_one_of_them_idle(world: World) -> None:
    mix = Mix(apart_s=3 * 3600, partitions=3, keyed=0)
    world.send(traffic(EVENTS, seed=4, mix=mix))
    expected = world.oracle()
    with world.stream.flow(*world.options, "-w", "2") as flow:
        world.settle(flow, expected)
    assert world.check_dead_letters(expected) == 0


@pytest.mark.parametrize("poison", [0.0, 0.1])
def test_every_rejected_event_is_a_dead_letter_once(world: World, poison: float) -> None:
    world.send(traffic(2000, seed=5, mix=Mix(poison=poison, late=0)))
    expected = world.oracle()
    with world.stream.flow(*world.options) as flow:
        world.settle(flow, expected)
        flow.process.send_signal(signal.SIGTERM)
        assert flow.process.wait(10) == 0
    assert world.check_dead_letters(expected) == 0
    assert bool(expected.rejected) == bool(poison)


def test_a_flow_that_is_stopped_replays_nothing(world: World) -> None:
    world.send(traffic(EVENTS, seed=6))
    expected = world.oracle()
    generator = random.Random(6)
    for _ in range(KILLS):
        with world.stream.flow(*world.options) as flow:
            flow.wait_started()
            time.sleep(generator.random() * 0.5)
            flow.process.send_signal(signal.SIGTERM)
            assert flow.process.wait(5) == 0, flow.said()
    with world.stream.flow(*world.options) as flow:
        world.settle(flow, expected)
        flow.process.send_signal(signal.SIGTERM)
        assert flow.process.wait(5) == 0, flow.said()
    assert world.check_dead_letters(expected) == 0
    predictions = world.stream.count(world.stream.settings.kafka.predictions_topic)
    assert predictions == EVENTS - len(expected.rejected)


@pytest.mark.xfail(
    strict=False,
    reason="a known flaw: after crashes and a change of workers, the rolling windows of a source "
    "sometimes end before its newest pane, until its next event; the panes are right",
)
def test_workers_and_partitions_may_become_more_and_fewer(world: World) -> None:
    for seed, workers in ((7, "1"), (8, "2"), (9, "1")):
        world.send(traffic(EVENTS // 3, seed))
        with world.stream.flow(*world.options, "-w", workers) as flow:
            flow.wait_started()
            time.sleep(1)
    kafka = world.stream.settings.kafka
    admin = AdminClient({"bootstrap.servers": kafka.brokers})
    with world.stream.flow(*world.options) as flow:
        flow.wait_started()
        for future in admin.create_partitions([NewPartitions(kafka.topic, 8)]).values():
            future.result()
        world.wait(flow, lambda: "has 8 partitions now, and 4 are read" in flow.said())
    world.send(traffic(EVENTS // 3, seed=10, mix=Mix(partitions=8)))
    expected = world.oracle()
    with world.stream.flow(*world.options, "-w", "2") as flow:
        world.settle(flow, expected)
    world.check_dead_letters(expected)


def test_a_truncated_log_is_told_and_nothing_is_skipped(world: World) -> None:
    world.send(traffic(1000, seed=11))
    with world.stream.flow(*world.options) as flow:
        world.settle(flow, world.oracle())
        flow.process.send_signal(signal.SIGTERM)
        assert flow.process.wait(5) == 0
    world.send(traffic(1000, seed=12))
    kafka = world.stream.settings.kafka
    admin = AdminClient({"bootstrap.servers": kafka.brokers})
    places = [TopicPartition(kafka.topic, partition, -1) for partition in range(4)]
    for deleted in admin.delete_records(places).values():
        deleted.result()
    with world.stream.flow(*world.options) as flow:
        assert flow.process.wait(60) == 1
        said = flow.said()
    assert "has no offset" in said
    assert "delete the recovery store to begin again" in said


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[tuple[Program, Supervisor, str]]:
    """Return a Kafka of this test alone, which may be killed and started again."""
    if tool := apache_kafka.missing():
        pytest.skip(f"a real Apache Kafka needs {tool}")
    directory = tmp_path / "kafka"
    directory.mkdir()
    with Ports() as ports, Supervisor(directory) as supervisor:
        port = ports.free()
        program = apache_kafka.apache_kafka(directory, port, ports.free())
        supervisor.start(program)
        yield program, supervisor, f"{LOOPBACK}:{port}"


def test_a_broker_that_is_killed_and_comes_back_loses_no_event(
    mortal: tuple[Program, Supervisor, str], environment: dict[str, str], tmp_path: Path
) -> None:
    program, supervisor, brokers = mortal
    world = World(Stream(environment | {"SENTISTREAM_KAFKA__BROKERS": brokers}), tmp_path)
    world.send(traffic(EVENTS, seed=13))
    expected = world.oracle()
    with world.stream.flow(*world.options) as flow:
        flow.wait_started()
        for wait_s in (0.3, 1.5):
            time.sleep(wait_s)
            supervisor.stop()  # it is disposable, so this is kill -9
            supervisor.start(program)
        world.settle(flow, expected)
    assert world.check_dead_letters(expected) == 0
