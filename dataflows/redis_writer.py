"""Sends commands to Redis until it has taken them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

import hiredis
import redis
from bytewax.outputs import StatelessSinkPartition
from redis.connection import AbstractConnection
from redis.exceptions import MasterDownError, NoPermissionError, ReadOnlyError, TryAgainError

from dataflows.clients import redis_client, redis_location
from dataflows.settings import RedisSettings
from dataflows.stopping import STOPPING

__all__ = ["Command", "Writer", "bulk", "hset"]

_log = logging.getLogger(__name__)

# As its arguments, or as it goes over the wire.
Command = tuple[str | int | bytes, ...] | bytes
ItemT = TypeVar("ItemT")
FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 1.0
ANSWER_S: Final = 2.0
ASIDE: Final = "sentistream-aside"  # begins the name of a key that stood in the way
# Not of the command, so that another server, or this one later, may take it.
OF_THE_SERVER: Final = (
    MasterDownError,
    ReadOnlyError,
    TryAgainError,
)


class Writer(StatelessSinkPartition[ItemT], Generic[ItemT]):
    """Sends the commands of a batch at once, again and again until Redis has taken them.

    All values are absolute, so a batch that was taken twice, or half, does no harm. While Redis
    is away the flow is held back. A key whose type is not that of the contract is somebody else's,
    and is renamed to make room.

    Args:
        settings: name the server.
        to_commands: makes the commands of a batch.
        side: what is refused, other than for the state of the server, is left out, so that it
            holds nothing up.
        witness: the key that says that Redis has everything; it goes when a key was renamed, so
            that what has to be under its name is written again.
    """

    def __init__(
        self,
        settings: RedisSettings,
        to_commands: Callable[[list[ItemT]], Iterable[Command]],
        *,
        side: bool = False,
        witness: str | None = None,
    ) -> None:
        # Tries are made here, where a stop can cut them short.
        self._client = redis_client(
            settings, socket_timeout=ANSWER_S, retry=None, redis_connect_func=_Succession()
        )
        self._where = redis_location(settings)
        self._to_commands = to_commands
        self._side = side
        self._witness = witness

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def write_batch(self, items: list[ItemT]) -> None:
        """Write all items."""
        # Packed here: the client's own pipeline takes four times as long for a command.
        packed = [_pack(command) for command in self._to_commands(items)]
        wait_s = FIRST_WAIT_S
        while packed:
            try:
                refused = self._send(packed)
                packed = [command for command, error in refused if self._again(command, error)]
                if not packed:
                    return
                error: redis.RedisError = refused[0][1]
            except redis.RedisError as lost:
                error = lost  # the connection: nobody knows what was taken
            _log.warning("Redis at %s: %s; trying again in %.1f s", self._where, error, wait_s)
            STOPPING.check(f"Redis at {self._where}")
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _send(self, packed: Sequence[bytes]) -> list[tuple[bytes, redis.ResponseError]]:
        """Return the commands that Redis has refused, and why.

        Raises:
            redis.RedisError: the connection is of no use any more.
        """
        pool = self._client.connection_pool
        connection = pool.get_connection()
        try:
            connection.send_packed_command([b"".join(packed)])  # type: ignore[no-untyped-call]
            errors = [_error(connection) for _ in packed]
            if any(isinstance(error, (*OF_THE_SERVER, NoPermissionError)) for error in errors):
                # Behind the same address there may be another one by now.
                connection.disconnect()  # type: ignore[no-untyped-call]
        except BaseException:
            # What has not been read must not answer what comes next.
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        finally:
            pool.release(connection)
        return [(one, error) for one, error in zip(packed, errors, strict=True) if error]

    def _again(self, command: bytes, error: redis.ResponseError) -> bool:
        """Return whether to send a refused command again, and make room for it.

        Raises:
            redis.RedisError: there is no room to be made.
        """
        if isinstance(error, OF_THE_SERVER):
            return True
        if str(error).startswith("WRONGTYPE"):
            self._rename(_key(command))
            return True
        if self._side:
            _log.error("Redis at %s: %s; an entry of %s is left out", *self._told(command, error))
        return not self._side

    def _rename(self, key: str) -> None:
        aside = f"{ASIDE}:{time.time_ns() // 1_000_000}:{key}"
        try:
            self._client.rename(key, aside)
        except redis.ResponseError as error:
            if "no such key" in str(error):
                return  # renamed already: there were several commands for it
            raise
        self._client.persist(aside)  # a key of ours would expire
        _log.error("the key %r has not the type of the contract; it is %r now", key, aside)
        if self._witness is not None:
            self._client.delete(self._witness)

    def _told(self, command: bytes, error: redis.ResponseError) -> tuple[str, str, str]:
        return self._where, str(error), _key(command)


def bulk(value: object) -> bytes:
    """Return an argument as it goes over the wire."""
    text = str(value).encode()
    return b"$%d\r\n%b\r\n" % (len(text), text)


def hset(key: str, fields: int, packed: bytes) -> bytes:
    """Return the command that sets so many fields, whose names and values are packed in turns."""
    return b"*%d\r\n$4\r\nHSET\r\n%b%b" % (2 + 2 * fields, bulk(key), packed)


def _pack(command: Command) -> bytes:
    if isinstance(command, bytes):
        return command
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # of any length
    return packed


def _key(packed: bytes) -> str:
    """Return the key of a packed command, which is its first argument."""
    _, _, _, size, rest = packed.split(b"\r\n", 4)
    return rest[: int(size[1:])].decode(errors="backslashreplace")


def _error(connection: AbstractConnection) -> redis.ResponseError | None:
    try:
        connection.read_response()
    except redis.ResponseError as error:
        return error
    return None


class _Succession:
    """On a new connection, ends the one before it.

    What was sent on a connection that gave no answer in time may still lie before Redis, which
    would write it after newer values. When CLIENT KILL has answered, it never will.
    """

    def __init__(self) -> None:
        self._last: int | None = None

    def __call__(self, connection: AbstractConnection) -> None:
        """Introduce a connection.

        Raises:
            redis.RedisError: it is of no use.
        """
        connection.on_connect()  # type: ignore[no-untyped-call]
        try:
            if self._last is not None:
                connection.send_command("CLIENT", "KILL", "ID", self._last)  # type: ignore[no-untyped-call]
                connection.read_response()
            connection.send_command("CLIENT", "ID")  # type: ignore[no-untyped-call]
            self._last = int(connection.read_response())
        except redis.ResponseError as error:
            # Some servers do not let everybody do this.
            _log.warning("a connection to Redis cannot be told from the one before: %s", error)
