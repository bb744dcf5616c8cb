"""Dead letters: rejected records with the reason, how they are written, and how they go back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from dataflows.contract import (
    END_OF_TIME_MS,
    REASONS,
    Headers,
    Record,
    Rejection,
    format_time,
)

__all__ = ["REPLAYED", "DeadLetter", "Outgoing", "dead_letter", "place_alone", "without_value"]

DETAIL_CHARS: Final = 500  # of a header; more helps nobody
REPLAYED: Final = "x-replayed"  # how often a record has come back from the dead letters
VALUE_BYTES: Final = "x-value-bytes"
EVENT_TIME: Final = "ce_time"
ADDED: Final = ("x-reason", "x-detail", "x-topic", "x-partition", "x-offset", "x-timestamp")


class Outgoing(NamedTuple):
    """A record to be written."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def dead_letter(rejection: Rejection) -> Outgoing:
    """Return the rejected record unchanged, with the reason and where it stood as headers."""
    record = rejection.record
    stamp = "" if record.timestamp_ms is None else str(record.timestamp_ms)
    values = (
        *(rejection.reason, rejection.detail, record.topic),
        *(str(record.partition), str(record.offset), stamp),
    )
    # The detail may quote the record, which may hold anything, also lone surrogates.
    encoded = tuple(
        (name, value[:DETAIL_CHARS].encode(errors="backslashreplace"))
        for name, value in zip(ADDED, values, strict=True)
    )
    return Outgoing(record.key, record.value, record.headers + encoded)


def without_value(letter: Outgoing) -> Outgoing:
    """Return a dead letter that says how long its value was; the original stands at `x-offset`."""
    size = str(len(letter.value or b"")).encode()
    return Outgoing(letter.key, None, (*letter.headers, (VALUE_BYTES, size)))


def place_alone(letter: Outgoing) -> Outgoing:
    """Return a dead letter without value, key and foreign headers: reason and place are left."""
    size = str(len(letter.value or b"")).encode()
    return Outgoing(None, None, (*letter.headers[-len(ADDED) :], (VALUE_BYTES, size)))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter as it is read back.

    Attributes:
        partition: where it stands in the topic of dead letters.
        offset: likewise.
        reason: one of `REASONS`.
        detail: the same in words.
        original: the record as it was rejected, with the place where it stood.
        value_bytes: length of the original value.
        shortened: the topic of dead letters did not let it in as it was: it has no value here, and
            maybe no key and no headers.
    """

    partition: int
    offset: int
    reason: str
    detail: str
    original: Record
    value_bytes: int
    shortened: bool = False

    @classmethod
    def of(cls, record: Record) -> DeadLetter:
        """Read a record of the topic of dead letters.

        Raises:
            ValueError: its last headers are not those that a dead letter ends with.
        """
        headers = list(record.headers)
        value_bytes = len(record.value or b"")
        shortened = bool(headers) and headers[-1][0] == VALUE_BYTES
        try:
            if shortened:
                value_bytes = int(headers.pop()[1] or b"")
            added = _texts(headers[-len(ADDED) :])
            original = Record(
                topic=added["x-topic"],
                partition=int(added["x-partition"]),
                offset=int(added["x-offset"]),
                key=record.key,
                value=record.value,
                headers=tuple(headers[: -len(ADDED)]),
                timestamp_ms=int(added["x-timestamp"]) if added["x-timestamp"] else None,
            )
            reason, detail = added["x-reason"], added["x-detail"]
            if reason not in REASONS:
                raise ValueError(f"{reason!r} is no reason")
            if min(original.partition, original.offset, original.timestamp_ms or 0) < 0:
                raise ValueError("its place or its timestamp is below 0")
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"record {record.offset} in partition {record.partition} of {record.topic} is no "
                f"dead letter: {error!r}"
            ) from error
        where = record.partition, record.offset
        return cls(*where, reason, detail, original, value_bytes, shortened)

    @property
    def replays(self) -> int:
        """How often it had come back before it was rejected this time."""
        try:
            return int(dict(self.original.headers).get(REPLAYED) or b"0")
        except ValueError:
            return 1  # somebody else's header of that name: take it for a loop

    def replayed(self) -> Outgoing:
        """Return the original record with the marker that a loop is noticed by.

        Where its timestamp was its event time, that becomes a header: a broker that sets
        timestamps itself would give it a new one.
        """
        original, stamp_ms = self.original, self.original.timestamp_ms
        marker = (REPLAYED, str(self.replays + 1).encode())
        headers = [header for header in original.headers if header[0] != REPLAYED]
        says = any(name.lower() == EVENT_TIME and value for name, value in headers)
        if stamp_ms is not None and not says:
            text = format_time(stamp_ms) if stamp_ms < END_OF_TIME_MS else str(stamp_ms)
            headers.insert(0, (EVENT_TIME, text.encode()))
        return Outgoing(original.key, original.value, (*headers, marker))


def _texts(headers: list[tuple[str, bytes | None]]) -> Mapping[str, str]:
    return {name: (value or b"").decode() for name, value in headers}
