"""What Redis and the dead letters have to hold, computed from a topic by a plain program.

It is written from the documentation alone and shares no code with the flow, so that a mistake has
to be made twice to go unseen. It reads each partition from its first record to its last.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    Message,
    TopicPartition,
)

FACES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
SUMS = (
    *("n", "events", "valence_sum", "valence_sq_sum", "confidence_sum"),
    *("negative", "neutral", "positive"),
    *("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral_face"),
)
WINDOWS_S = (10, 60, 300, 3600)
AHEAD_MS = 5000  # half of the smallest window

Sums = dict[str, int]


@dataclass
class Expected:
    """The state of the world after all records.

    Attributes:
        panes: by resolution (s), source and bucket (epoch s); what is not there is 0.
        rolling: by source and window (s): where it ends, and its sums.
        newest_ms: newest event time by source.
        confirmed_ms: newest event time whose record has a timestamp of the broker's.
        rejected: reason by partition and offset.
    """

    panes: dict[tuple[int, str, int], Sums] = field(default_factory=dict)
    rolling: dict[tuple[str, int], tuple[int, Sums]] = field(default_factory=dict)
    newest_ms: dict[str, int] = field(default_factory=dict)
    confirmed_ms: int = 0
    rejected: dict[tuple[int, int], str] = field(default_factory=dict)


def expected(brokers: str, topic: str, lateness_s: int = 900) -> Expected:
    """Read the topic and compute."""
    world = Expected()
    for partition, messages in sorted(_read(brokers, topic).items()):
        newest: dict[str, int] = {}  # event time by source, in this partition
        for message in messages:
            _count(world, message, partition, topic, newest, lateness_s * 1000)
    _roll(world)
    return world


def _count(
    world: Expected,
    message: Message,
    partition: int,
    topic: str,
    newest: dict[str, int],
    lateness_ms: int,
) -> None:
    def reject(reason: str) -> None:
        world.rejected[partition, message.offset() or 0] = reason

    value = message.value()
    headers = {name: (text or b"").decode() for name, text in message.headers() or []}
    if not value:
        reject("empty_value")
        return
    source = headers.get("ce_source") or (message.key() or b"").decode() or topic
    kind, stamp = message.timestamp()
    time_ms = stamp
    if "ce_time" in headers:
        if not re.match(r"\d{4}-\d\d-\d\dT", headers["ce_time"]):
            reject("bad_time")
            return
        moment = datetime.fromisoformat(headers["ce_time"])
        time_ms = round(moment.timestamp() * 1000)
    if time_ms > stamp + AHEAD_MS:
        reject("future_time")
        return
    if source in newest and newest[source] - time_ms > lateness_ms:
        reject("too_late")
        return
    newest[source] = max(time_ms, newest.get(source, time_ms))
    try:
        faces = json.loads(value)["emotions"]
    except ValueError:
        reject("bad_json")
        return
    except KeyError:
        reject("no_known_field")
        return
    if any(abs(sum(face.values()) - 1) > 0.0351 for face in faces):
        reject("bad_probabilities")
        return
    if kind == TIMESTAMP_LOG_APPEND_TIME:
        world.confirmed_ms = max(world.confirmed_ms, time_ms)
    _add(world, source, time_ms, [_observe(face) for face in faces])


def _observe(face: dict[str, float]) -> dict[str, int | str]:
    """Apply the rules of an observation to the probabilities of one face."""
    p = {name: face.get(name, 0.0) for name in FACES}
    sides = {
        "negative": p["sadness"] + p["anger"] + p["fear"] + p["disgust"],
        "neutral": p["neutral"] + p["surprise"],
        "positive": p["happiness"],
    }
    most = max(p.values())
    return {
        "valence": round((sides["positive"] - sides["negative"]) * 1000),
        "confidence": round(most * 1000),
        "side": next(name for name, share in sides.items() if share == max(sides.values())),
        "face": next(name for name in FACES if p[name] == most),
    }


def _add(
    world: Expected, source: str, time_ms: int, observations: list[dict[str, int | str]]
) -> None:
    sums: Sums = defaultdict(int)
    sums["events"] = 1
    for seen in observations:
        valence, confidence = int(seen["valence"]), int(seen["confidence"])
        sums["n"] += 1
        sums["valence_sum"] += valence
        sums["valence_sq_sum"] += valence * valence
        sums["confidence_sum"] += confidence
        sums[str(seen["side"])] += 1
        sums["neutral_face" if seen["face"] == "neutral" else str(seen["face"])] += 1
    world.newest_ms[source] = max(time_ms, world.newest_ms.get(source, time_ms))
    for name in (source, "*"):
        for resolution in (1, 10, 60):
            bucket = time_ms // 1000 // resolution * resolution
            pane = world.panes.setdefault((resolution, name, bucket), defaultdict(int))
            for part, amount in sums.items():
                pane[part] += amount


def _roll(world: Expected) -> None:
    by_source: dict[str, dict[int, Sums]] = defaultdict(dict)
    for (resolution, source, bucket), sums in world.panes.items():
        if resolution == 1:
            by_source[source][bucket] = sums
    # The newest time that two sources have reached, or that the broker's clock vouches for.
    second = sorted(world.newest_ms.values())[-2:][:1]
    head = max([world.confirmed_ms, *second]) // 1000
    for source, panes in by_source.items():
        end = max(bucket for bucket in panes if source != "*" or bucket <= head)
        for window in WINDOWS_S:
            total: Sums = defaultdict(int)
            for bucket, sums in panes.items():
                if end - window < bucket <= end:
                    for part, amount in sums.items():
                        total[part] += amount
            world.rolling[source, window] = end, total


def _read(brokers: str, topic: str) -> dict[int, list[Message]]:
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "oracle",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
    )
    found: dict[int, list[Message]] = {
        partition: [] for partition in consumer.list_topics(topic).topics[topic].partitions
    }
    consumer.assign([TopicPartition(topic, partition, 0) for partition in found])
    left = set(found)
    while left:
        for message in consumer.consume(10_000, timeout=0.2):
            error = message.error()
            if error is None:
                found[message.partition() or 0].append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                left.discard(message.partition() or 0)
    consumer.close()
    return found
