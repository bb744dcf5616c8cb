"""Where a partition is begun that has no snapshot."""

from __future__ import annotations

import logging
import time
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dataflows.stopping import STOPPING
from models.errors import ServiceError

__all__ = ["PartitionPlace", "first_offset"]

_log = logging.getLogger(__name__)

ANSWER_S: Final = 5.0  # then it is asked again, maybe another broker
RETRY_S: Final = 0.2
# What passes: a broker that has died, and a partition that has no new leader yet.
_PASSING: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._DESTROY_BROKER,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
    }
)


class PartitionPlace(NamedTuple):
    """Which partition, of how many, of which topic."""

    partition: int
    partitions: int
    topic_id: str | None


def first_offset(consumer: Consumer, topic: str, place: PartitionPlace, start: str) -> int:
    """Return where to begin; a broker that is away is waited for.

    Raises:
        ServiceError: the offsets cannot be read, now or later.
    """
    where = f"the offsets of partition {place.partition} of {topic}"
    while True:
        try:
            low, high = consumer.get_watermark_offsets(
                TopicPartition(topic, place.partition), timeout=ANSWER_S
            )
            earliest = start == "earliest" or _is_new(consumer, topic, place)
            return int(low) if earliest else int(high)
        except KafkaException as error:
            reason = error.args[0]
            if not (reason.retriable() or reason.code() in _PASSING):
                raise ServiceError(f"{where} cannot be read: {reason.str()}") from error
            _log.warning("%s: %s; trying again", where, reason.str())
            STOPPING.check("Kafka")
            time.sleep(RETRY_S)
            _look_for_leader(consumer, topic)


def _look_for_leader(consumer: Consumer, topic: str) -> None:
    """Ask any broker who leads now; by itself the client goes on asking one that has died."""
    try:
        consumer.list_topics(topic, timeout=ANSWER_S)
    except KafkaException as error:
        _log.debug("the leader cannot be asked for: %s", error.args[0].str())


def _is_new(consumer: Consumer, topic: str, place: PartitionPlace) -> bool:
    """Whether the flow has read other partitions before, and never this one.

    Then what is in it came after the flow had begun, and none of it may be left out.

    Raises:
        KafkaException: the committed positions cannot be read.
    """
    places = [TopicPartition(topic, number) for number in range(place.partitions)]
    committed = consumer.committed(places, timeout=ANSWER_S)
    read = {one.partition for one in committed if one.offset >= 0}
    return bool(read) and place.partition not in read
