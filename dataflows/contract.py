"""The message contract: from a Kafka record to an event, or to a rejection with its reason.

A record's value is the content itself, described by CloudEvents 1.0 headers in the binary mode of
the Kafka binding. Every header is optional, so a topic of plain JPEGs or plain texts works.
Everything here is pure: no Kafka, no clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from dataflows.keys import ALL_SOURCES
from models.options import Limits

__all__ = ["REASONS", "Envelope", "Record", "Rejection", "format_time", "open_envelope"]

# Every `x-reason` that a dead letter can carry.
REASONS: Final = {
    "empty_value": "The record has no value.",
    "unfetchable": "The broker has the record and no client can fetch it: its batch is damaged or "
    "does not decompress. The dead letter has its place alone.",
    "too_large": "The value has more bytes than `limits.max_bytes`.",
    "bad_header": "The name of a header is not UTF-8 (then none of its headers can be carried "
    "along); a header of the contract, or the key that has to be the source, is not UTF-8; or one "
    "has more bytes than `limits.max_header_bytes`.",
    "bad_source": "The source is `*`, too long, or has control characters.",
    "bad_time": "The event time is no RFC 3339 time with a zone, is not within the years 1970 to "
    "9999, or there is none at all.",
    "future_time": "The event time is further ahead of the record's own timestamp than half of the "
    "smallest window of `windows`, or 60 s.",
    "too_late": "The event is further behind the newest one of its source than `lateness_s`.",
    "unknown_type": "There is no content type and the first bytes are of no known one.",
    "unsupported_type": "The content type is not one of the contract.",
    "broken_image": "The picture cannot be decoded.",
    "too_many_pixels": "The picture has more pixels than `limits.max_pixels`, takes as much to "
    "decode as so many, or has a side over `limits.max_image_side`.",
    "bad_utf8": "The text is not UTF-8.",
    "empty_text": "Nothing is left of the text without white space, names of users and links.",
    "bad_json": "The value is no JSON object, or a field has the wrong type.",
    "no_known_field": "The JSON object has none of `text`, `image`, `emotions`.",
    "bad_base64": "The field `image` is not base64.",
    "bad_probabilities": "An entry of `emotions` names no expression, is outside 0…1, or does not "
    "sum to 1 ± 0.035.",
    "no_text_bundle": "A text, and no text bundle is in use.",
    "scoring_failed": "The models failed on it, also when it was tried alone; `x-detail` has "
    "the exception.",
}

END_OF_TIME_MS: Final = 253_402_300_800_000  # the year 10000, which RFC 3339 cannot write
# Which characters these are does not change with the versions of Unicode.
CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
SOURCE_CHARS: Final = 256  # a source is part of Redis keys and of the state
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)
# fromisoformat alone also takes week dates and times without a zone.
RFC_3339: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
SECOND_CHARS: Final = len("2023-11-14T22:13:20")
MILLISECOND_CHARS: Final = SECOND_CHARS + len(".000Z")

# Others may hold anything, and are carried along unread.
KNOWN_HEADERS: Final = frozenset({"ce_id", "ce_source", "ce_time", "content-type"})

Headers = tuple[tuple[str, bytes | None], ...]


class Record(NamedTuple):
    """One Kafka record as it came.

    Attributes:
        timestamp_ms: the record's own timestamp in epoch milliseconds; None if it has none.
        unreadable: why its headers could not be read; empty if they could.
        by_broker: whether the timestamp is of the broker's clock, not of the producer's.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None
    unreadable: str = ""
    by_broker: bool = False


class Envelope(NamedTuple):
    """An event whose headers are understood; its content is not looked at yet.

    Attributes:
        time_ms: event time, epoch milliseconds.
        content_type: lower case without parameters; None if the record does not say.
    """

    record: Record
    id: str
    source: str
    time_ms: int
    content_type: str | None

    @property
    def value(self) -> bytes:
        """The content; `open_envelope` has refused records without one."""
        return self.record.value or b""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that cannot be used, why, and in words for people."""

    record: Record
    reason: str
    detail: str


def open_envelope(record: Record, limits: Limits, ahead_ms: int) -> Envelope | Rejection:
    """Read identity, source and time of a record, and check its size.

    The time may be up to `ahead_ms` after the record's timestamp.
    """
    topic, partition, offset, key, value, headers, stamp_ms, unreadable, _ = record
    if unreadable:
        return Rejection(record, "bad_header", unreadable)
    if not value:
        return Rejection(record, "empty_value", "the record has no value")
    if len(value) > limits.max_bytes:
        detail = f"the value has {len(value)} bytes; the limit is {limits.max_bytes}"
        return Rejection(record, "too_large", detail)
    try:
        texts = _texts(headers, limits.max_header_bytes)
        source = texts.get("ce_source") or (key.decode() if key else "") or topic
    except _TooLong as error:
        return Rejection(record, "bad_header", str(error))
    except UnicodeDecodeError as error:
        return Rejection(record, "bad_header", f"a header or the key is not UTF-8: {error}")
    if source == ALL_SOURCES or len(source) > SOURCE_CHARS or CONTROL.search(source):
        detail = f"the source must be 1 to {SOURCE_CHARS} characters, no control ones, and not '*'"
        return Rejection(record, "bad_source", f"{detail}: {source[:SOURCE_CHARS]!r}")
    time_ms = stamp_ms
    if text := texts.get("ce_time"):
        time_ms = parse_time(text)
    if time_ms is None or not 0 <= time_ms < END_OF_TIME_MS:
        given = repr(text) if text else f"{time_ms} ms"
        detail = f"{given} is no RFC 3339 time, or not within the years 1970 to 9999"
        return Rejection(record, "bad_time", detail)
    if stamp_ms is not None and time_ms > stamp_ms + ahead_ms:
        ahead_s, allowed_s = (time_ms - stamp_ms) / 1000, ahead_ms / 1000
        detail = f"the event time is {ahead_s:.1f} s after the record's timestamp; "
        detail += f"{allowed_s:g} s are allowed. Is the clock of {source!r} right?"
        return Rejection(record, "future_time", detail)
    content_type = texts.get("content-type", "").partition(";")[0].strip().lower()
    return Envelope(
        record,
        texts.get("ce_id") or f"{topic}/{partition}/{offset}",
        source,
        time_ms,
        content_type or None,
    )


def parse_time(text: str) -> int | None:
    """Return epoch milliseconds (rounded down) of an RFC 3339 time, None if it is none."""
    # The form in which most come; seconds are the same for many.
    if len(text) == MILLISECOND_CHARS and text[SECOND_CHARS] == "." and text[-1] == "Z":
        digits = text[SECOND_CHARS + 1 : -1]
        whole_ms = _parse_second(text[:SECOND_CHARS])
        if whole_ms is not None and digits.isdigit() and digits.isascii():
            return whole_ms + int(digits)
    return _parse_time(text)


@lru_cache(maxsize=4096)
def _parse_second(text: str) -> int | None:
    return _parse_time(f"{text}Z")


def _parse_time(text: str) -> int | None:
    if not RFC_3339.fullmatch(text):
        return None
    try:
        return (datetime.fromisoformat(text.upper()) - EPOCH) // MILLISECOND
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=4096)  # asked for twice for an event: in the prediction and in its headers
def format_time(time_ms: int) -> str:
    """Return the RFC 3339 time (UTC, milliseconds) of epoch milliseconds."""
    second, millisecond = divmod(time_ms, 1000)
    return f"{_format_second(second)}.{millisecond:03}Z"


@lru_cache(maxsize=4096)  # events come by the hundred a second, and a second is often asked for
def _format_second(second: int) -> str:
    return (EPOCH + timedelta(seconds=second)).isoformat().removesuffix("+00:00")


class _TooLong(Exception):
    """A header has more bytes than are allowed."""


def _texts(headers: Headers, max_bytes: int) -> dict[str, str]:
    """Return the headers of the contract as text; the first of a name counts."""
    texts: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        if lowered in KNOWN_HEADERS and value is not None and lowered not in texts:
            if len(value) > max_bytes:
                raise _TooLong(f"{lowered} has {len(value)} bytes; the limit is {max_bytes}")
            texts[lowered] = value.decode().strip()
    return texts
