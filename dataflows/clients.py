"""Opens the clients of Kafka and Redis, all with the same options, and checks that they answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import redis
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from dataflows.settings import KafkaSettings, RedisSettings
from models.errors import ServiceError

__all__ = [
    "MESSAGE_BYTES",
    "check_redis",
    "consumer",
    "open_client",
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
            # What cannot be fetched is tried some times before it is passed over.
            "fetch.error.backoff.ms": 100,
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
