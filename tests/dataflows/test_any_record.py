"""Records of any bytes go through the whole flow, from the broker to the last sink."""

from __future__ import annotations

import gzip
import json
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_kafka import GZIP, Raw, batch, plain, produce
from streams import Stream

pytestmark = pytest.mark.integration

EDGE = json.dumps({"emotions": [{"happiness": 1}]}).encode()
GOOD = Raw(EDGE, b"camera", [(b"content-type", b"application/json")])
NAMES = [
    b"ce_id",
    b"ce_source",
    b"ce_time",
    b"content-type",
    b"CE_ID",
    b"x-reason",
    b"x-value-bytes",
]
TYPES = [b"image/jpeg", b"text/plain", b"application/json", b"application/json; charset=x", b"*/*"]
TIMES = [b"2026-11-29T00:00:00Z", b"9999-12-31T23:59:59.999Z", b"0000-01-01T00:00:00Z", b"now"]

anything = st.binary(max_size=40)
# Around the limits of one header and, all together, of a batch of the broker.
long = st.integers(900, 1100).map(lambda count: b"x" * count) | st.just(b"y" * 300_000)
contents = st.sampled_from(
    [
        EDGE,
        b"so happy",
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"{",
        b'{"text": "\\ud800"}',
        b"",
    ]
)
headers = st.lists(
    st.tuples(
        st.sampled_from(NAMES) | anything,
        st.none() | anything | st.sampled_from(TYPES + TIMES) | long,
    ),
    max_size=4,
)
records = st.builds(
    Raw, st.none() | anything | contents | long, st.none() | anything | long, headers
)


class Sending(NamedTuple):
    """One batch: its records, their timestamp, and how it is packed."""

    records: list[Raw]
    at_ms: int | None
    packing: str


sendings = st.builds(
    Sending,
    st.lists(records, min_size=1, max_size=4),
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**41),
    st.sampled_from(["plain", "plain", "gzip", "broken"]),
)


def packed(sending: Sending) -> bytes:
    inside = plain(sending.records)
    if sending.packing == "gzip":
        return batch(sending.records, codec=GZIP, packed=gzip.compress(inside), at_ms=sending.at_ms)
    if sending.packing == "broken":
        return batch(sending.records, codec=GZIP, packed=inside, at_ms=sending.at_ms)
    return batch(sending.records, at_ms=sending.at_ms)


def test_each_has_a_prediction_or_a_dead_letter_and_the_flow_goes_on(stream: Stream) -> None:
    kafka = stream.settings.kafka
    good = others = 0

    def written() -> int:
        return stream.count(kafka.predictions_topic) + stream.count(kafka.dlq_topic)

    limits = {"SENTISTREAM_REJECTIONS__IN_A_ROW": "0", "SENTISTREAM_REJECTIONS__SHARE": "1"}
    with stream.flow(**limits) as flow:
        flow.wait_started()

        @settings(max_examples=40)
        @given(sendings)
        def send(sending: Sending) -> None:
            nonlocal good, others
            if produce(kafka.brokers, kafka.topic, 1, packed(sending)) == 0:
                others += len(sending.records)
            assert produce(kafka.brokers, kafka.topic, 1, batch([GOOD])) == 0
            good += 1
            flow.wait(lambda: written() >= good + others)

        send()
        assert written() == good + others
        assert stream.count(kafka.predictions_topic) >= good
        flow.wait(lambda: stream.total("camera").events == good)
