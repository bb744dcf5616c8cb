"""The demo's producers on one schedule: a video as three cameras, a photo of a group, a chat."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from infra.frames import Item, Jpeg, picture, texts, video
from infra.producers import Sender, Tally
from models.wheels import fetch

__all__ = ["SAMPLE_TEXTS", "Feed", "Shot", "sample_streams"]

SAMPLE_TEXTS: Final = Path(__file__).with_name("sample_texts.txt")  # written for this project

VIDEO_S = 472 / 23.976  # length of the sample video
CAMERAS = 3
# Less than half of what two laptop cores score, and well under 1 GiB an hour in the embedded
# broker: it keeps everything in memory, and takes some 7 kB for a record beside its content. A
# frame has 12 kB, the photo 65 kB.
CAMERA_FPS = 3.0
PHOTO_FPS = 1 / 3
TEXTS_PER_S = 1.5
FRAME = Jpeg(quality=75, max_side=448)
PHOTO = Jpeg(quality=75, max_side=800)


class Shot(NamedTuple):
    """One item of one source."""

    source: str
    item: Item


def sample_streams(*, chat: bool) -> list[Iterator[Shot]]:
    """Return the endless streams of the demo; blocks while the samples are downloaded.

    Each camera shows the whole video, from sorrow to laughter, every 20 s; the chat has what people
    at a festival may write.

    Args:
        chat: whether there are texts too, for which a text bundle has to be in use.

    Raises:
        AssetError: a sample can neither be found nor downloaded.
        InputError: OpenCV is not installed.
    """
    film, group = fetch("sample_video"), fetch("multi_face")
    streams = []
    for number in range(CAMERAS):
        # Near each other, so that the mood of all of them together moves too.
        start_s = VIDEO_S * number / 8
        frames = video(film, FRAME, rate=CAMERA_FPS, loop=True, start_s=start_s)
        streams.append(_named(f"camera-{number + 1}", frames))
    streams.append(_named("group-photo", picture(group, PHOTO, rate=PHOTO_FPS)))
    if chat:
        streams.append(_named("chat", texts(SAMPLE_TEXTS, rate=TEXTS_PER_S, loop=True)))
    return streams


class Feed:
    """Sends the shots of several streams when they are due; the caller keeps the time.

    Args:
        sender: is closed with the feed.
        streams: each in the order of its due times.
    """

    def __init__(self, sender: Sender, streams: Iterable[Iterator[Shot]]) -> None:
        self._sender = sender
        self._shots = heapq.merge(*streams, key=lambda shot: shot.item.due_s or 0.0)
        self._next = next(self._shots, None)

    @property
    def tally(self) -> Tally:
        """What became of the events so far."""
        return self._sender.tally

    def send_due(self, elapsed_s: float) -> None:
        """Send all that is due so many seconds after the start."""
        while self._next is not None and (self._next.item.due_s or 0.0) <= elapsed_s:
            self._sender.send(self._next.item, self._next.source)
            self._next = next(self._shots, None)
        self._sender.wait(0)

    def close(self) -> Tally:
        """Send nothing more, and wait until all that was sent is delivered or failed."""
        self._next = None
        return self._sender.close()


def _named(source: str, items: Iterator[Item]) -> Iterator[Shot]:
    return (Shot(source, item) for item in items)
