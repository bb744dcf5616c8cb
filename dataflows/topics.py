"""The topics of the flow: what is created, how, and what is said of those that are there."""

from __future__ import annotations

import logging
import time
from typing import Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._metadata import ClusterMetadata
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from dataflows.clients import CONNECT_S, MESSAGE_BYTES, open_client
from dataflows.settings import KafkaSettings, Settings
from models.errors import ServiceError

__all__ = ["ensure_topics", "partitions_of", "topic_id"]

_log = logging.getLogger(__name__)

PLAIN: Final = "uncompressed"
BROKER_TIME: Final = "LogAppendTime"
_NO_TOPIC_ID: Final = ("", "AAAAAAAAAAAAAAAAAAAAAA")  # zero, in base64


def ensure_topics(settings: Settings) -> None:
    """Create the topics of the flow and the API that do not exist yet, and log that.

    Raises:
        ServiceError: no broker answers, or a topic cannot be created.
    """
    kafka = settings.kafka
    admin = open_client(AdminClient, kafka)
    existing = _metadata(admin, kafka).topics
    wanted = [kafka.topic, kafka.predictions_topic, kafka.dlq_topic, kafka.feedback_topic]
    if settings.alerts.enabled:
        wanted.append(kafka.alerts_topic)
    missing = [name for name in dict.fromkeys(wanted) if name not in existing]
    if kafka.topic not in missing:
        _look_at(admin, kafka.topic)
    futures = (
        admin.create_topics(
            [
                NewTopic(
                    name,
                    num_partitions=kafka.partitions,
                    replication_factor=kafka.replication,
                    config=_config(name, settings),
                )
                for name in missing
            ],
            request_timeout=CONNECT_S,
        )
        if missing
        else {}
    )
    for name, future in futures.items():
        try:
            future.result()
        except KafkaException as error:
            # Another worker may have been faster.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise ServiceError(
                    f"topic {name!r} cannot be created: {error.args[0].str()}"
                ) from error
        else:
            _log.info("created topic %s with %d partitions", name, kafka.partitions)


def _config(name: str, settings: Settings) -> dict[str, str]:
    if name == settings.kafka.topic:
        # The broker unpacks what producers have compressed, and refuses what is too large then: a
        # batch of 4 kB can hold 130 MB, which no client may be made to unpack.
        # Timestamps are of the broker's clock, so that a wrong one elsewhere is noticed.
        return {
            "compression.type": PLAIN,
            "max.message.bytes": str(MESSAGE_BYTES),
            "message.timestamp.type": BROKER_TIME,
        }
    if name == settings.kafka.dlq_topic:
        # Whatever the events topic lets in has to fit into the dead letters.
        return {"max.message.bytes": str(MESSAGE_BYTES)}
    return {}


def _look_at(admin: AdminClient, topic: str) -> None:
    """Warn of a topic of events that lets through what can harm who reads it."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        found = admin.describe_configs([resource], request_timeout=CONNECT_S)[resource].result()
        compression = found["compression.type"].value
        stamps = found["message.timestamp.type"].value
    except (KafkaException, KeyError) as error:
        _log.debug("the configuration of %s cannot be read: %s", topic, error)
        return
    if compression != PLAIN:
        _log.warning(
            "%s has compression.type=%s: a small batch that a producer has compressed may need "
            "much memory here. If not all producers are yours, set compression.type=%s: then the "
            "broker refuses what is larger than max.message.bytes when it is unpacked",
            topic,
            compression,
            PLAIN,
        )
    if stamps != BROKER_TIME:
        _log.warning(
            "%s has message.timestamp.type=%s: the timestamps are of the producers' clocks. A "
            "source whose clock is ahead is not noticed, and while a single source sends what is "
            "not of now, the windows of all sources together stay where they are. Set "
            "message.timestamp.type=%s",
            topic,
            stamps,
            BROKER_TIME,
        )


def partitions_of(kafka: KafkaSettings, topic: str) -> list[int]:
    """Return the partitions of a topic, waiting a little for one that was just created.

    Raises:
        ServiceError: no broker answers, or there is no such topic.
    """
    admin = open_client(AdminClient, kafka)
    until = time.monotonic() + CONNECT_S
    while True:
        metadata = _metadata(admin, kafka).topics.get(topic)
        if metadata is not None and metadata.error is None and metadata.partitions:
            return sorted(metadata.partitions)
        if time.monotonic() > until:
            raise ServiceError(f"Kafka at {kafka.brokers} has no topic {topic!r}")
        time.sleep(0.2)


def topic_id(kafka: KafkaSettings, topic: str) -> str | None:
    """Return what tells a topic from another one of the same name, made later.

    Brokers older than Apache Kafka 2.8 do not tell: then it is None.

    Raises:
        ServiceError: no broker answers.
    """
    admin = open_client(AdminClient, kafka)
    described = admin.describe_topics(TopicCollection([topic]), request_timeout=CONNECT_S)
    try:
        found = described[topic].result().topic_id
    except KafkaException as error:
        raise ServiceError(f"topic {topic!r} cannot be described: {error.args[0].str()}") from error
    return None if found is None or str(found) in _NO_TOPIC_ID else str(found)


def _metadata(admin: AdminClient, kafka: KafkaSettings) -> ClusterMetadata:
    try:
        return admin.list_topics(timeout=CONNECT_S)
    except KafkaException as error:
        raise ServiceError(
            f"no Kafka broker answers at {kafka.brokers} ({error.args[0].str()}); start one or set "
            "SENTISTREAM_KAFKA__BROKERS (and SENTISTREAM_KAFKA__CLIENT for SASL or TLS)"
        ) from error
