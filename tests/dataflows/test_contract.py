import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.contract import (
    Envelope,
    Headers,
    Record,
    Rejection,
    format_time,
    open_envelope,
    parse_time,
)
from models.options import Limits

LIMITS = Limits(max_bytes=100, max_header_bytes=300)
AHEAD_MS = 5000
NOW_MS = 1_700_000_000_000


def record(
    value: bytes | None = b"x",
    headers: Headers = (),
    key: bytes | None = None,
    timestamp_ms: int | None = NOW_MS,
) -> Record:
    return Record("topic", 3, 14, key, value, headers, timestamp_ms)


def opened(given: Record) -> Envelope:
    result = open_envelope(given, LIMITS, AHEAD_MS)
    assert isinstance(result, Envelope), result
    return result


def reason(given: Record) -> str:
    result = open_envelope(given, LIMITS, AHEAD_MS)
    assert isinstance(result, Rejection), result
    assert result.record is given
    assert result.detail
    return result.reason


def test_a_bare_record_gets_the_defaults() -> None:
    envelope = opened(record())
    assert envelope.id == "topic/3/14"
    assert envelope.source == "topic"
    assert envelope.time_ms == NOW_MS
    assert envelope.content_type is None


def test_the_key_is_the_source_where_no_header_says_otherwise() -> None:
    assert opened(record(key=b"camera:1")).source == "camera:1"
    assert opened(record(key=b"a", headers=(("ce_source", b"b"),))).source == "b"
    assert opened(record(key=b"\xff", headers=(("ce_source", b"b"),))).source == "b"


@pytest.mark.parametrize(
    "name", ["\u0928\u094d\u200d\u092f", "a\u200cb", "Halle\u00a02", "\u3000", "\U0001fae9"]
)
def test_a_source_may_have_any_name_without_control_characters(name: str) -> None:
    assert opened(record(key=name.encode())).source == name


def test_headers_are_read_whatever_their_case_and_company() -> None:
    envelope = opened(
        record(
            headers=(
                ("CE_ID", b"7"),
                ("ce_time", b"2023-11-14T22:13:19.5+00:00"),
                ("Content-Type", b"IMAGE/JPEG; charset=binary"),
                ("x-unknown", b"\xff"),
                ("ce_extension", b"\xff"),
                ("content-encoding", None),
            )
        )
    )
    assert envelope.id == "7"
    assert envelope.time_ms == NOW_MS - 500
    assert envelope.content_type == "image/jpeg"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (record(value=None), "empty_value"),
        (record(value=b""), "empty_value"),
        (record(value=b"x" * 101), "too_large"),
        (record(headers=(("ce_id", b"\xff"),)), "bad_header"),
        (record(key=b"\xff"), "bad_header"),
        (record(key=b"*"), "bad_source"),
        (record(key=b"a\nb"), "bad_source"),
        (record(key="a\u0085b".encode()), "bad_source"),
        (record(key=b"a" * 257), "bad_source"),
        (record(headers=(("ce_time", b"yesterday"),)), "bad_time"),
        (record(headers=(("ce_time", b"2023-11-14T22:13:20"),)), "bad_time"),
        (record(headers=(("ce_time", b"2023-W46-2T22:13:20Z"),)), "bad_time"),
        (record(headers=(("ce_time", b"1969-12-31T23:59:59Z"),)), "bad_time"),
        (record(headers=(("ce_time", b"2023-11-31T00:00:00Z"),)), "bad_time"),
        (record(timestamp_ms=None), "bad_time"),
        (record(timestamp_ms=NOW_MS * 1000), "bad_time"),  # microseconds by mistake
        (record(headers=(("ce_time", b"2023-11-14T23:13:20Z"),)), "future_time"),
    ],
)
def test_what_cannot_be_used_has_its_reason(given: Record, expected: str) -> None:
    assert reason(given) == expected


def test_a_clock_may_be_ahead_by_so_much_and_no_more() -> None:
    at = dt.datetime(2023, 11, 14, 22, 13, 25, tzinfo=dt.UTC)
    just = (("ce_time", at.isoformat().encode()),)
    over = (("ce_time", (at + dt.timedelta(milliseconds=1)).isoformat().encode()),)
    assert opened(record(headers=just)).time_ms == NOW_MS + AHEAD_MS
    assert reason(record(headers=over)) == "future_time"


@given(st.integers(0, 253402300799999))
def test_a_time_survives_its_text(time_ms: int) -> None:
    assert parse_time(format_time(time_ms)) == time_ms


def test_times_are_rounded_down_to_milliseconds_and_zones_are_known() -> None:
    assert parse_time("1970-01-01T00:00:00.0019999Z") == 1
    assert parse_time("1970-01-01T01:00:00+01:00") == 0
    assert parse_time("1970-01-01t00:00:00z") == 0


@pytest.mark.parametrize("name", ["ce_id", "CE_Source", "ce_time", "content-type"])
def test_a_header_of_the_contract_has_a_limit_and_others_have_none(name: str) -> None:
    long = b"x" * (LIMITS.max_header_bytes + 1)
    assert reason(record(headers=((name, long),))) == "bad_header"
    assert opened(record(headers=(("mine", long), ("ce_id", long[1:])))).id == "x" * 300


def test_a_record_whose_headers_cannot_be_read_is_refused() -> None:
    assert reason(record()._replace(unreadable="not UTF-8")) == "bad_header"


@given(st.binary(max_size=50), st.binary(max_size=50), st.binary(max_size=50))
def test_no_bytes_raise(value: bytes, header: bytes, key: bytes) -> None:
    headers = (("ce_time", header), ("ce_source", header), ("content-type", header))
    open_envelope(record(value, headers, key), LIMITS, AHEAD_MS)
