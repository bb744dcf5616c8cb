"""What was scored elsewhere gives what the long way gives, digit for digit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflows.content import read_content
from dataflows.contract import Envelope, Record, format_time
from dataflows.edge import events_of, read_faces
from models.errors import ContentError
from models.observation import EXPRESSIONS, observe_face
from models.prediction import prediction
from models.scorer import Face, Scored

VERSIONS = {"face": "1.2.0", "text": None}
ROW = dict(zip(EXPRESSIONS, (0.1, 0.2, 0.05, 0.15, 0.25, 0.05, 0.2), strict=True))

weights = st.one_of(
    st.just(0.0), st.just(1.0), st.floats(0, 1), st.integers(0, 20_000).map(lambda n: n / 20_000)
)


@st.composite
def rows(draw: st.DrawFn) -> tuple[float, ...]:
    """Probabilities with few digits, among them many that lie between two steps, or with all."""
    given = draw(st.lists(weights, min_size=7, max_size=7).filter(any))
    shares = [weight / sum(given) for weight in given]
    digits = draw(st.sampled_from([3, 4, 5, 17]))
    return tuple(round(share, digits) for share in shares)


def envelope(number: int, name: str = "camera") -> Envelope:
    record = Record("t", 0, number, None, b"x", (), 0)
    return Envelope(record, f"{name}/{number}", name, 1_780_000_000_123 + number, None)


def scored(faces: list[tuple[float, ...]]) -> Scored:
    return Scored(tuple(Face(None, row, observe_face(row)) for row in faces))


def document(envelope: Envelope, faces: list[tuple[float, ...]]) -> dict[str, Any]:
    public = prediction(envelope.id, scored(faces), VERSIONS)
    times = {"source": envelope.source, "time": format_time(envelope.time_ms)}
    return {"id": public.pop("id"), **times, **public}


@settings(deadline=None)
@given(st.lists(st.lists(rows(), max_size=3), max_size=6), st.text(max_size=5))
@example([[(0.0, 0.0, 0.059, 0.0, 0.471, 0.471, 0.0)]], "a")  # the sum is above 1
def test_observations_and_predictions_are_those_of_the_long_way(
    batch: list[list[tuple[float, ...]]], name: str
) -> None:
    envelopes = [envelope(number, name) for number in range(len(batch))]
    events = list(events_of(envelopes, batch, VERSIONS))
    assert len(events) == len(batch)
    for source, faces, event in zip(envelopes, batch, events, strict=True):
        assert event.envelope is source
        assert event.observations == scored(faces).observations
        expected = document(source, faces)
        assert list(json.loads(event.prediction)) == list(expected)
        # Text rather than numbers: 0.1 and 0.10 would be the same number.
        text = event.prediction.replace(":-0.0,", ":0.0,")
        assert text == json.dumps(expected, separators=(",", ":")).replace(":-0.0,", ":0.0,")


@settings(deadline=None)
@given(st.lists(rows(), max_size=3))
def test_faces_are_read_as_the_long_way_reads_them(faces: list[tuple[float, ...]]) -> None:
    value = json.dumps({"emotions": [dict(zip(EXPRESSIONS, row, strict=True)) for row in faces]})
    read = read_faces(value.encode())
    try:
        expected = read_content(value.encode(), "application/json").faces
    except ContentError:
        expected = None
    assert (read if read is None else tuple(read)) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"emotions": {}}',
        b'{"emotions": null, "text": "good"}',
        b'{"emotions": [{"joy": 1}]}',
        b'{"emotions": [{"anger": true}]}',
        b'{"emotions": [{"anger": "1"}]}',
        b'{"emotions": [{"anger": 1.5}]}',
        b'{"emotions": [{"anger": NaN}]}',
        b'{"emotions": [{"anger": 0.5}]}',
        b'{"emotions": [{"anger": 1}], "more": "\xff"}',
        b'{"emotions": [{"anger": 1}]} and more',
        b"[" * 100_000,
        json.dumps({"emotions": [ROW] * 1001}).encode(),
    ],
)
def test_what_is_not_in_the_plain_form_is_left_to_the_long_way(value: bytes) -> None:
    assert read_faces(value) is None


def test_missing_classes_are_zero_and_whole_numbers_count() -> None:
    assert read_faces(b'{"emotions": [{"anger": 1}]}') == [(0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)]
