"""Writes records that no client would write, over Kafka's own protocol.

Sources: https://kafka.apache.org/protocol (Produce, version 7) and
https://kafka.apache.org/documentation/#recordbatch (version 2 of the format).
"""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Final

from waiting import wait_for

__all__ = ["GZIP", "ZSTD", "Raw", "batch", "plain", "produce"]

PRODUCE: Final = 0
VERSION: Final = 7
ANSWER_S: Final = 30.0
CASTAGNOLI: Final = 0x82F63B78  # the polynomial of CRC-32C, RFC 3720, reversed
STARTING: Final = (3, 5, 6)  # the partition is unknown yet, or has no leader here
GZIP, ZSTD = 1, 4  # codecs, in the attributes of a batch


@dataclass(frozen=True)
class Raw:
    """One record, of bytes alone; names of headers too."""

    value: bytes | None = None
    key: bytes | None = None
    headers: list[tuple[bytes, bytes | None]] = field(default_factory=list)


def batch(
    records: list[Raw], *, codec: int = 0, packed: bytes | None = None, at_ms: int | None = None
) -> bytes:
    """Return a batch.

    Args:
        records: what is in it.
        codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
        packed: the records as they are to stand in the batch, in that codec; may be anything.
        at_ms: their timestamp, epoch milliseconds; None is now.
    """
    at_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    if packed is None:
        packed = plain(records)
    signed = struct.pack(
        ">hiqqqhii", codec, len(records) - 1, at_ms, at_ms, -1, -1, -1, len(records)
    )
    signed += packed
    tail = struct.pack(">ibI", -1, 2, _crc32c(signed)) + signed
    return struct.pack(">qi", 0, len(tail)) + tail


def plain(records: list[Raw]) -> bytes:
    """Return records as they stand in a batch before it is compressed."""
    return b"".join(_record(delta, record) for delta, record in enumerate(records))


def produce(brokers: str, topic: str, partition: int, records: bytes) -> int:
    """Write a batch to the one broker that there is; return Kafka's error code, 0 if it took it.

    A topic that was created just now is waited for.
    """
    answers: list[int] = []

    def settled() -> bool:
        answers.append(_produce(brokers, topic, partition, records))
        return answers[-1] not in STARTING

    wait_for(settled, lambda: answers)
    return answers[-1]


def _produce(brokers: str, topic: str, partition: int, records: bytes) -> int:
    host, port = brokers.rsplit(":", 1)
    name = topic.encode()
    body = struct.pack(">hhih", PRODUCE, VERSION, 1, -1)  # correlation 1, no name of the client
    body += struct.pack(">hhi", -1, -1, int(1000 * ANSWER_S))  # no transaction, all replicas
    body += struct.pack(f">ih{len(name)}s", 1, len(name), name)
    body += struct.pack(">iii", 1, partition, len(records)) + records
    with socket.create_connection((host, int(port)), ANSWER_S) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        answer = _read(connection, struct.unpack(">i", _read(connection, 4))[0])
    # Correlation, one topic with its name, one partition with its number, the error.
    (error,) = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(name) + 4 + 4)
    return int(error)


def _read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("the broker has ended the connection")
        data += part
    return data


def _record(delta: int, record: Raw) -> bytes:
    body = b"\0" + _varint(0) + _varint(delta) + _bytes(record.key) + _bytes(record.value)
    body += _varint(len(record.headers))
    for name, value in record.headers:
        body += _bytes(name) + _bytes(value)
    return _varint(len(body)) + body


def _bytes(data: bytes | None) -> bytes:
    return _varint(-1) if data is None else _varint(len(data)) + data


def _varint(number: int) -> bytes:
    rest, out = (number << 1) ^ (number >> 63), b""
    while rest > 0x7F:
        out += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    return out + bytes([rest])


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (CASTAGNOLI if byte & 1 else 0)
    return byte


_TABLE: Final = [_entry(byte) for byte in range(256)]
