"""The flow ends in order, and goes on where it ended."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from streams import Sent, Stream, recovery

from dataflows.stopping import NO_USE, Stopping
from dataflows.topics import partitions_of
from models.errors import ServiceError
from models.observation import EXPRESSIONS

JSON = {"content-type": b"application/json"}


def events(count: int) -> list[Sent]:
    value = json.dumps({"emotions": [dict.fromkeys(EXPRESSIONS, 1 / 7)]}).encode()
    return [Sent(value, JSON, key=f"source {index % 5}") for index in range(count)]


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_flow_in_order_and_nothing_is_replayed(
    stream: Stream, tmp_path: Path, number: signal.Signals, stop_s: float
) -> None:
    options = recovery(tmp_path / "recovery")
    count = 30_000
    stream.send(events(count))
    with stream.flow(*options) as flow:
        flow.wait(lambda: stream.redis.hgetall(stream.keys.rolling("*", 3600)))
        assert flow.end(stop_s, number) == 0, flow.said()
    done = stream.count(stream.settings.kafka.predictions_topic)
    assert 0 < done < count  # in the midst of it
    assert stream.total().events == done
    with stream.flow(*options) as flow:
        flow.wait_started()
        flow.settle(count)
        assert flow.end(stop_s, number) == 0, flow.said()
    assert stream.count(stream.settings.kafka.predictions_topic) == count
    assert stream.total().events == count


@pytest.mark.integration
def test_a_service_that_is_away_does_not_hold_a_stop_up(
    stream: Stream, tmp_path: Path, stop_s: float
) -> None:
    options = recovery(tmp_path / "recovery")
    stream.send(events(10))
    with stream.flow(*options) as flow:
        flow.settle(10)
        stream.redis.client_pause(60_000, all=False)  # writes alone
        try:
            stream.send(events(10))
            flow.wait(lambda: "trying again in" in flow.said())
            assert flow.end(stop_s) == 1
            assert "stopped while Redis at 127.0.0.1" in flow.said()
        finally:
            stream.redis.client_unpause()
    with stream.flow(*options) as flow:
        flow.settle(20)
    assert stream.total().events == 20


@pytest.mark.integration
def test_a_wrong_topic_stops_the_flow_with_a_question(stream: Stream, tmp_path: Path) -> None:
    options = recovery(tmp_path / "recovery")
    stream.send([Sent(b"{", JSON) for _ in range(300)])
    with stream.flow(*options, SENTISTREAM_REJECTIONS__IN_A_ROW="100") as flow:
        assert flow.process.wait(60) == NO_USE
        said = flow.said()
    last = said.strip().splitlines()[-1]
    assert "events in a row were rejected (lately: bad_json" in last
    assert "Is this the right topic?" in last
    assert "Traceback" not in said
    dead = stream.count(stream.settings.kafka.dlq_topic)
    assert 100 <= dead <= 300
    with stream.flow(*options, SENTISTREAM_REJECTIONS__IN_A_ROW="0") as flow:
        flow.settle(300)
    offsets = {
        (headers["x-partition"], headers["x-offset"])
        for record in stream.records(stream.settings.kafka.dlq_topic)
        if (headers := dict(record.headers() or []))
    }
    assert len(offsets) == 300 == stream.count(stream.settings.kafka.dlq_topic)


@pytest.mark.integration
@pytest.mark.kafka
def test_positions_are_committed_for_tools_that_show_lag(
    environment: dict[str, str], kafka_brokers: str
) -> None:
    environment["SENTISTREAM_KAFKA__BROKERS"] = kafka_brokers
    environment["SENTISTREAM_KAFKA__GROUP"] = group = (
        "lag of " + environment["SENTISTREAM_KAFKA__TOPIC"]
    )
    stream = Stream(environment)
    stream.send(events(50))
    topic = stream.settings.kafka.topic
    client = Consumer({"bootstrap.servers": kafka_brokers, "group.id": group})
    places = [TopicPartition(topic, n) for n in partitions_of(stream.settings.kafka, topic)]
    with stream.flow("-s", "1") as flow:
        flow.settle(50)
        flow.wait(lambda: sum(max(0, x.offset) for x in client.committed(places, 5)) == 50)
    client.close()


def test_waiting_ends_a_while_after_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataflows.stopping.GRACE_S", 0.05)
    stopping = Stopping()
    stopping.check("Redis")
    stopping.request()
    stopping.check("Redis")
    time.sleep(0.06)
    with pytest.raises(ServiceError, match="stopped while Redis was away"):
        stopping.check("Redis")
