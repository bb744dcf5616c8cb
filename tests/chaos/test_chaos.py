"""The promise, tried by breaking things on purpose: Redis is a function of the topic's content."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apache_kafka import Kafka, running
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from streams import Stream
from traffic import Mix, traffic
from world import World

pytestmark = [pytest.mark.integration, pytest.mark.kafka]
NIGHTLY = pytest.mark.nightly

EVENTS = 6000
Pick = Callable[[Any, Any], Any]
Figures = dict[str, object]


def test_a_flow_that_is_killed_loses_nothing_and_counts_nothing_twice(
    world: World, pick: Pick, figures: Figures
) -> None:
    events, kills = pick(100_000, EVENTS), pick(50, 5)
    world.send(traffic(events, seed=1))
    # So soon that the kills are spread over the whole of the work.
    repeats = world.run_until(world.oracle(), kills, random.Random(1), longest_s=2.0)
    figures |= {"events": events, "kills": kills, "dead letters written again": repeats}


@pytest.mark.nightly
def test_a_downtime_makes_no_event_late(world: World, figures: Figures) -> None:
    world.send(traffic(EVENTS // 2, seed=2))
    generator = random.Random(2)
    downtimes_s = (1, 10, 60)
    for downtime_s in downtimes_s:
        with world.stream.flow(*world.options) as flow:
            flow.wait_started()
            time.sleep(generator.random())
        time.sleep(downtime_s)
    figures |= {"events": EVENTS, "downtimes (s)": downtimes_s}
    world.send(traffic(EVENTS // 2, seed=3, mix=Mix(hour=1)))
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


@pytest.mark.parametrize(
    "poison", [pytest.param(0.0, marks=NIGHTLY), pytest.param(0.01, marks=NIGHTLY), 0.1]
)
def test_every_rejected_event_is_a_dead_letter_once(
    world: World, poison: float, figures: Figures, stop_s: float
) -> None:
    world.send(traffic(2000, seed=5, mix=Mix(poison=poison, late=0)))
    expected = world.oracle()
    with world.stream.flow(*world.options) as flow:
        world.settle(flow, expected)
        assert flow.end(stop_s) == 0
    assert world.check_dead_letters(expected) == 0
    assert bool(expected.rejected) == bool(poison)
    figures |= {"events": 2000, "dead letters": len(expected.rejected)}


def test_nothing_but_poison_ends_the_flow_with_a_question(world: World, figures: Figures) -> None:
    world.send(traffic(EVENTS, seed=15, mix=Mix(poison=1.0, late=0)))
    expected = world.oracle()
    assert len(expected.rejected) == EVENTS
    with world.stream.flow(*world.options) as flow:
        assert flow.process.wait(120) == 3, flow.said()
        assert "right topic" in flow.said()
    written = world.dead_letters(expected)
    assert max(written.values()) == 1
    figures |= {"events": EVENTS, "dead letters before the stop": written.total()}


def test_a_flow_that_is_stopped_replays_nothing(
    world: World, pick: Pick, figures: Figures, stop_s: float
) -> None:
    world.send(traffic(EVENTS, seed=6))
    expected = world.oracle()
    generator = random.Random(6)
    took_s = []
    for _ in range(pick(50, 5)):
        with world.stream.flow(*world.options) as flow:
            flow.wait_started()
            time.sleep(generator.random() * 0.5)
            began = time.monotonic()
            assert flow.end(stop_s) == 0, flow.said()
            took_s.append(time.monotonic() - began)
    figures |= {"events": EVENTS, "stops": len(took_s), "longest (s)": f"{max(took_s):.1f}"}
    with world.stream.flow(*world.options) as flow:
        flow.wait_started()  # all may be done already, and the flow not yet there to be stopped
        world.settle(flow, expected)
        assert flow.end(stop_s) == 0, flow.said()
    assert world.check_dead_letters(expected) == 0
    predictions = world.stream.count(world.stream.settings.kafka.predictions_topic)
    assert predictions == EVENTS - len(expected.rejected)


def test_workers_and_partitions_may_become_more_and_fewer(world: World) -> None:
    for hour, workers in enumerate(("1", "2", "1")):
        world.send(traffic(EVENTS // 3, seed=7 + hour, mix=Mix(hour=hour)))
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
    world.send(traffic(EVENTS // 3, seed=10, mix=Mix(partitions=8, hour=3)))
    expected = world.oracle()
    with world.stream.flow(*world.options, "-w", "2") as flow:
        world.settle(flow, expected)
    world.check_dead_letters(expected)


def test_a_truncated_log_is_told_and_nothing_is_skipped(world: World, stop_s: float) -> None:
    world.send(traffic(1000, seed=11))
    with world.stream.flow(*world.options) as flow:
        world.settle(flow, world.oracle())
        assert flow.end(stop_s) == 0, flow.said()
    world.send(traffic(1000, seed=12, mix=Mix(hour=1)))
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


@pytest.mark.nightly
def test_a_broker_that_is_killed_and_comes_back_loses_no_event(
    mortal: Kafka, environment: dict[str, str], tmp_path: Path, figures: Figures
) -> None:
    world = World(Stream(environment | {"SENTISTREAM_KAFKA__BROKERS": mortal.brokers}), tmp_path)
    generator = random.Random(13)
    kills, events = 20, 40_000
    with world.stream.flow(*world.options) as flow:
        flow.wait_started()
        for hour in range(kills):
            world.send(traffic(events // kills, seed=1300 + hour, mix=Mix(hour=hour)))
            time.sleep(generator.random() * 1.5)
            mortal.kill()
        expected = world.oracle()
        world.settle(flow, expected)
    assert world.check_dead_letters(expected) == 0
    figures |= {"events": events, "kills": kills, "dead letters": len(expected.rejected)}


@pytest.mark.nightly
def test_a_cluster_of_brokers_may_lose_each_of_them(
    environment: dict[str, str], tmp_path: Path, figures: Figures
) -> None:
    """While one of three is away, events are written, and the flow goes on."""
    directory = tmp_path / "kafka"
    directory.mkdir()
    kills, events = 12, 24_000
    with running(directory, count=3) as kafka:
        world = World(Stream(environment | {"SENTISTREAM_KAFKA__BROKERS": kafka.brokers}), tmp_path)
        with world.stream.flow(*world.options) as flow:
            flow.wait_started()
            for hour in range(kills):
                node = kafka.nodes[hour % len(kafka.nodes)]
                node.stop()
                world.send(traffic(events // kills, seed=1400 + hour, mix=Mix(hour=hour)))
                world.settle(flow, world.oracle())
                node.start()
            expected = world.oracle()
        assert world.check_dead_letters(expected) == 0
    figures |= {"events": events, "kills": kills, "dead letters": len(expected.rejected)}
