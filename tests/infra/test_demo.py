"""The demo's schedule, and what an hour of it costs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

import pytest

from dataflows.settings import Settings
from infra.demo import SAMPLE_TEXTS, Feed, Shot, sample_streams
from infra.frames import Item
from infra.producers import Sender

SECONDS = 60.0
# Measured on the embedded broker: what a record takes beside its content, and a prediction in all.
RECORD_BYTES, PREDICTION_BYTES = 8_000, 4_000


class Recorder(Sender):
    """Notes what is sent instead of sending it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.sent: list[tuple[str, bytes]] = []

    def send(self, item: Item, source: str) -> None:
        self.sent.append((source, item.value))


def stream(source: str, *due: float) -> Iterator[Shot]:
    return (Shot(source, Item(str(at).encode(), "text/plain", at)) for at in due)


@pytest.mark.integration
def test_streams_are_sent_in_the_order_of_their_due_times(settings: Settings) -> None:
    recorder = Recorder(settings)
    feed = Feed(recorder, [stream("a", 0, 1, 2, 3), stream("b", 0.5, 1.5, 9)])
    feed.send_due(1.0)
    assert recorder.sent == [("a", b"0"), ("b", b"0.5"), ("a", b"1")]
    feed.send_due(1.2)
    assert len(recorder.sent) == 3
    feed.send_due(2.0)
    assert recorder.sent[3:] == [("b", b"1.5"), ("a", b"2")]
    feed.close()
    feed.send_due(100.0)
    assert len(recorder.sent) == 5


def test_a_minute_of_the_demo_is_enough_and_an_hour_stays_under_a_gibibyte() -> None:
    shots = [
        shot
        for stream in sample_streams(chat=True)
        for shot in takewhile(lambda shot: (shot.item.due_s or 0) < SECONDS, stream)
    ]
    sources = {shot.source for shot in shots}
    assert sources == {"camera-1", "camera-2", "camera-3", "group-photo", "chat"}
    assert len(shots) > 450  # of which more than 300 must be scored in a minute
    content = sum(len(shot.item.value) for shot in shots)
    minute = content + len(shots) * (RECORD_BYTES + PREDICTION_BYTES)
    assert minute * 60 < 1024**3
    # Each camera begins elsewhere in the video.
    first = {shot.source: shot.item.value for shot in reversed(shots)}
    assert len(set(first.values())) == len(sources)


def test_without_a_model_for_texts_there_is_no_chat() -> None:
    firsts = [next(stream) for stream in sample_streams(chat=False)]
    assert [shot.source for shot in firsts] == ["camera-1", "camera-2", "camera-3", "group-photo"]


def test_the_sample_texts_are_all_different_and_short_enough_to_read() -> None:
    lines = SAMPLE_TEXTS.read_text(encoding="utf-8").splitlines()
    assert 60 <= len(lines) == len(set(lines)) <= 100
    assert all(line == line.strip() and 10 < len(line) < 120 for line in lines)
