"""A clock that runs ahead harms its own source alone."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from streams import Sent
from traffic import START_S, traffic
from world import World

from dataflows.contract import format_time

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

EVENTS = 3000
AHEAD = "ahead"
HOURS_AHEAD = 60
EDGE = b'{"emotions": [{"happiness": 1}]}'
Pick = Callable[[Any, Any], Any]
Figures = dict[str, object]


def ahead(event_s: float, stamp_s: float) -> Sent:
    """Return an event of the source whose clock is wrong; both are epoch seconds."""
    headers = {
        "content-type": b"application/json",
        "ce_source": AHEAD.encode(),
        "ce_time": format_time(round(event_s * 1000)).encode(),
    }
    return Sent(EDGE, headers, AHEAD, timestamp_ms=round(stamp_s * 1000))


def use_times_of_producers(world: World) -> None:
    """Make the topic one that nobody has set up for this flow."""
    kafka = world.stream.settings.kafka
    entry = ConfigEntry(
        "message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ResourceType.TOPIC, kafka.topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": kafka.brokers})
    admin.incremental_alter_configs([resource])[resource].result()


def test_times_of_producers_let_a_wrong_clock_move_its_own_source_alone(
    world: World, pick: Pick, figures: Figures
) -> None:
    use_times_of_producers(world)
    count, kills = pick(50_000, EVENTS), pick(20, 2)
    honest = traffic(count, seed=11)
    events: list[Sent] = []
    for number, event in enumerate(honest):
        events.append(event)
        if number % 20 == 0:
            at = START_S + HOURS_AHEAD * 3600 + number / count * 3600
            events.append(ahead(at, at))
    world.send(events)
    expected = world.oracle()
    assert expected.newest_ms[AHEAD] > (START_S + HOURS_AHEAD * 3600) * 1000
    assert expected.rolling["*", 3600][0] < START_S + 2 * 3600
    world.run_until(expected, kills, random.Random(11), longest_s=2.0)
    figures |= {"events": len(events), "hours ahead": HOURS_AHEAD, "differences": 0}


def test_the_brokers_time_tells_a_clock_that_is_ahead(world: World, figures: Figures) -> None:
    now_s = time.time()
    events = traffic(EVENTS, seed=12)
    for number in range(10):
        events.insert(number * 200, ahead(now_s + HOURS_AHEAD * 3600 + number, now_s))
    world.send(events)
    expected = world.oracle()
    assert list(expected.rejected.values()).count("future_time") == 10
    with world.stream.flow(*world.options) as flow:
        world.settle(flow, expected)
        assert "message.timestamp.type" not in flow.said()
    world.check_dead_letters(expected)
    figures |= {"events": len(events), "hours ahead": HOURS_AHEAD, "differences": 0}
