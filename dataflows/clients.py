"""Opens the clients of Kafka and Redis, all with the same options, and checks that they answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import redis
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata
from confluent_kafka.cimpl import NewTopic
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from dataflows.settings import KafkaSettings, RedisSettings, Settings
from models.errors import ServiceError

__all__ = [
    "MESSAGE_BYTES",
    "check_redis",
    "consumer",
    "ensure_topics",
    "open_client",
    "partitions_of",
    "producer",
    "redis_client",
    "redis_location",
]

_log = logging.getLogger(__name__)

ClientT = TypeVar("ClientT")
REPEAT_S: Final = 10.0  # between two lines about the same error
CONNECT_S: Final = 8.0  # a wrong address must be told within 15 s
# A value of 30 MB may come in and must go out again to the dead letters, unchanged.
MESSAGE_BYTES: Final = 64 * 1024 * 1024


class _ErrorLog:
    """Logs what ails a client, at most once in a while: librdkafka repeats itself without end."""

    def __init__(self) -> None:
        self._silent_until: dict[int, float] = {}

    def __call__(self, error: KafkaError) -> None:
        now = time.monotonic()
        if now >= self._silent_until.get(error.code(), 0.0):
            self._silent_until[error.code()] = now + REPEAT_S
            _log.warning("Kafka: %s; trying again", error.str())


def open_client(
    kind: Callable[[dict[str, Any]], ClientT],
    kafka: KafkaSettings,
    **options: Any,  # noqa: ANN401
) -> ClientT:
    """Open a Kafka client with our options, then the user's, which win.

    Raises:
        ServiceError: librdkafka does not know an option of the user or refuses its value.
    """
    arguments = {
        "bootstrap.servers": kafka.brokers,
        "client.id": "sentistream",
        "log_level": 2,
        "error_cb": _ErrorLog(),
        **options,
        **kafka.client,
    }
    try:
        return kind(arguments)
    except KafkaException as error:
        raise ServiceError(f"SENTISTREAM_KAFKA__CLIENT: {error.args[0].str()}") from error


def consumer(kafka: KafkaSettings) -> Consumer:
    """Return a consumer for explicit assignment; it joins no group."""
    return open_client(
        Consumer,
        kafka,
        **{
            "group.id": kafka.group,  # for commits alone
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # An offset that is gone is an error, never a silent jump.
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            # Answer as soon as there is anything; the default of 500 ms is latency.
            "fetch.wait.max.ms": 10,
            # Bounds memory: the default is 64 MB a partition.
            "queued.max.messages.kbytes": 8 * 1024,
            # With a full queue, look again soon; the default of 1 s would be a stall.
            "fetch.queue.backoff.ms": 20,
            "fetch.message.max.bytes": 4 * 1024 * 1024,
            "receive.message.max.bytes": 2 * MESSAGE_BYTES,
        },
    )


def producer(kafka: KafkaSettings, *, tell_successes: bool = True) -> Producer:
    """Return an idempotent producer that waits for a broker that is away without a limit.

    Args:
        kafka: the settings of the broker.
        tell_successes: whether `on_delivery` is also called for what was delivered. `flush` tells
            that all is settled in any case.
    """
    return open_client(
        Producer,
        kafka,
        **{
            "enable.idempotence": True,
            "message.timeout.ms": 0,
            "message.max.bytes": MESSAGE_BYTES,
            "linger.ms": 1,
            "delivery.report.only.error": not tell_successes,
            "compression.type": "none",  # pictures are compressed already
        },
    )


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
    futures = (
        admin.create_topics(
            [
                NewTopic(
                    name,
                    num_partitions=kafka.partitions,
                    replication_factor=kafka.replication,
                    # Whatever the events topic lets in has to fit into the dead letters.
                    config={"max.message.bytes": str(MESSAGE_BYTES)}
                    if name == kafka.dlq_topic
                    else {},
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


def _metadata(admin: AdminClient, kafka: KafkaSettings) -> ClusterMetadata:
    try:
        return admin.list_topics(timeout=CONNECT_S)
    except KafkaException as error:
        raise ServiceError(
            f"no Kafka broker answers at {kafka.brokers} ({error.args[0].str()}); start one or set "
            "SENTISTREAM_KAFKA__BROKERS (and SENTISTREAM_KAFKA__CLIENT for SASL or TLS)"
        ) from error


def redis_client(settings: RedisSettings, **options: Any) -> redis.Redis:  # noqa: ANN401
    """Return a Redis client that retries for a short while by itself."""
    arguments: Mapping[str, Any] = {
        "decode_responses": True,
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "retry": Retry(ExponentialBackoff(cap=1, base=0.05), retries=5),
        "client_name": "sentistream",
        **options,
    }
    try:
        return redis.Redis.from_url(settings.url.get_secret_value(), **arguments)
    except ValueError as error:
        raise ServiceError(f"SENTISTREAM_REDIS__URL is no Redis URL: {error}") from error


def check_redis(settings: RedisSettings) -> None:
    """Check that Redis answers.

    Raises:
        ServiceError: it does not.
    """
    client = redis_client(settings, retry=Retry(ExponentialBackoff(cap=1, base=0.1), retries=1))
    try:
        client.ping()
    except redis.RedisError as error:
        raise ServiceError(
            f"no Redis answers at {redis_location(settings)} ({error}); start one or set "
            "SENTISTREAM_REDIS__URL"
        ) from error
    finally:
        client.close()


def redis_location(settings: RedisSettings) -> str:
    """Return where Redis is, without user name and password."""
    arguments = redis_client(settings).connection_pool.connection_kwargs
    if path := arguments.get("path"):
        return str(path)
    host, port = arguments.get("host", "localhost"), arguments.get("port", 6379)
    return f"{host}:{port}/{arguments.get('db') or 0}"
