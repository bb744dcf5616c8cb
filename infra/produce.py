"""`sentistream produce`: sends one input to Kafka, and says what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rich.console import Console

from dataflows.settings import load_settings
from infra.frames import InputError, Item, Jpeg, camera, folder, texts, video
from infra.interrupts import interruptible
from infra.producers import Sender, progress_line, send_all
from infra.visible import name_of

__all__ = ["Input", "produce"]


@dataclass(frozen=True)
class Input:
    """What the command line says; exactly one of the first four is set.

    Attributes:
        camera: the number of a camera.
        folder: of pictures.
        video: a file.
        text: a file with one text a line.
        rate: events a second.
        loop: play the video, or send the lines of the text, again and again.
        jpeg: encoding and size of pictures.
    """

    camera: int | None = None
    folder: Path | None = None
    video: Path | None = None
    text: Path | None = None
    rate: float | None = None
    loop: bool = False
    jpeg: Jpeg = field(default_factory=Jpeg)

    def open(self) -> tuple[str, Iterator[Item]]:
        """Return the name that the source has by default, and its items.

        Raises:
            InputError: there is not exactly one input, or it does not go with the other options.
        """
        inputs = (self.camera, self.folder, self.video, self.text)
        if sum(one is not None for one in inputs) != 1:
            raise InputError("name exactly one of --camera, --folder, --video and --text")
        if self.loop and self.video is None and self.text is None:
            raise InputError("--loop goes with --video and --text alone")
        if self.camera is not None:
            return f"camera-{self.camera}", camera(self.camera, self.jpeg, rate=self.rate)
        if self.folder is not None:
            name = name_of(Path(self.folder.resolve().name))
            return name, folder(self.folder, self.jpeg, rate=self.rate)
        if self.video is not None:
            frames = video(self.video, self.jpeg, rate=self.rate, loop=self.loop)
            return name_of(Path(self.video.stem)), frames
        assert self.text is not None  # noqa: S101 - one of the four is set
        return name_of(Path(self.text.stem)), texts(self.text, rate=self.rate, loop=self.loop)


def produce(chosen: Input, source: str | None, count: int | None, console: Console) -> int:
    """Send the events, at most `count`; return 1 if any delivery failed, else 0.

    Ends with the input, or on Ctrl-C, which is the normal end of a camera.

    Raises:
        SentiStreamError: the input cannot be used, or no broker answers.
    """
    default, items = chosen.open()
    name = source or default
    sender = Sender(load_settings())
    with interruptible():
        try:
            with sender:
                send_all(sender, islice(items, count), name, console)
        except KeyboardInterrupt:
            console.print("stopped")
    console.print(progress_line(sender.tally, name), highlight=False, markup=False)
    return 1 if sender.tally.failed else 0
