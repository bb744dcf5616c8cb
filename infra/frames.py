"""Where events come from: pictures of a camera, a video or a folder, and the lines of a text file.

Each function yields items lazily, so the memory that a source takes does not grow with its length.
None of them waits: an item carries the moment at which its own clock plays it, and who sends it
does the waiting.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from models.errors import SentiStreamError

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "CONTENT_TYPES",
    "InputError",
    "Item",
    "Jpeg",
    "camera",
    "folder",
    "picture",
    "texts",
    "video",
]

CONTENT_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpe": "image/jpeg",
    ".jfif": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
FALLBACK_FPS = 25.0  # for the rare video file that does not tell its own


class InputError(SentiStreamError):
    """The camera, video, folder or file that events should come from cannot be used."""


@dataclass(frozen=True, slots=True)
class Item:
    """The content of one event.

    Attributes:
        value: the bytes to send.
        content_type: their media type.
        due_s: seconds after the start at which it is to be sent; None for at once.
    """

    value: bytes
    content_type: str
    due_s: float | None = None


@dataclass(frozen=True, slots=True)
class Jpeg:
    """How pictures are encoded.

    Attributes:
        quality: of JPEG, 1 to 100.
        max_side: longest side in pixels; larger pictures are shrunk. None leaves the size.
    """

    quality: int = 85
    max_side: int | None = None

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height after shrinking; the same if nothing is to be shrunk."""
        longest = max(width, height)
        if self.max_side is None or longest <= self.max_side:
            return width, height
        factor = self.max_side / longest
        return max(1, round(width * factor)), max(1, round(height * factor))


def video(
    path: Path,
    jpeg: Jpeg,
    *,
    rate: float | None = None,
    loop: bool = False,
    start_s: float = 0.0,
) -> Iterator[Item]:
    """Yield the frames of a video file as JPEGs, due at the pace of the video.

    Args:
        path: the file.
        jpeg: encoding and size.
        rate: at most so many frames a second, by leaving frames out; the video's pace stays.
        loop: begin again at the end, for ever.
        start_s: begin so many seconds into the video.

    Raises:
        InputError: the file cannot be read as a video, or OpenCV is not installed.
    """
    cv2 = _opencv()
    fps = _frames_per_second(cv2, path)
    step = max(1.0, fps / rate) if rate else 1.0
    skip = round(start_s * fps)
    position = 0  # frames played so far, over all rounds
    taken = 0
    while True:
        capture = cv2.VideoCapture(str(path))
        before = position
        try:
            for index in count():
                if not capture.grab():
                    break
                if index < skip:
                    continue
                if position >= taken * step:
                    ok, frame = capture.retrieve()
                    if ok:
                        yield Item(_encode(cv2, frame, jpeg), "image/jpeg", position / fps)
                    taken += 1
                position += 1
        finally:
            capture.release()
        if position == before:
            raise InputError(f"{path}: no frame could be read from {start_s:g} s on")
        if not loop:
            return
        skip = 0


def camera(
    index: int,
    jpeg: Jpeg,
    *,
    rate: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Yield the pictures of a camera as JPEGs, as they come; blocks while waiting for the next.

    Args:
        index: the number of the camera, 0 for the first.
        jpeg: encoding and size.
        rate: at most so many pictures a second; those in between are left out.
        clock: seconds, for the rate alone.

    Raises:
        InputError: there is no such camera, it stopped, or OpenCV is not installed.
    """
    cv2 = _opencv()
    capture = cv2.VideoCapture(index)
    try:
        if not capture.isOpened():
            raise InputError(f"camera {index} cannot be opened: is it there, and not in use?")
        due = clock()
        while True:
            if not capture.grab():
                raise InputError(f"camera {index} gives no more pictures")
            now = clock()
            if rate and now < due:
                continue
            if rate:
                # A camera that stalled is not made up for with a burst.
                due = (due if now < due + 1.0 / rate else now) + 1.0 / rate
            ok, frame = capture.retrieve()
            if ok:
                yield Item(_encode(cv2, frame, jpeg), "image/jpeg")
    finally:
        capture.release()


def folder(path: Path, jpeg: Jpeg, *, rate: float | None = None) -> Iterator[Item]:
    """Yield the JPEG, PNG and WebP files in a folder and below it, in the order of their names.

    A file is sent byte for byte as it is, unless it is larger than `jpeg.max_side`: then it is
    turned upright, shrunk and encoded as JPEG. A file that cannot be read as a picture is sent as
    it is too: the stream names what is wrong with it in its dead-letter topic.

    Raises:
        InputError: the folder holds no such file.
    """
    names = sorted(file for file in path.rglob("*") if file.suffix.lower() in CONTENT_TYPES)
    if not names:
        raise InputError(f"{path}: no file ends in {', '.join(CONTENT_TYPES)}")
    for number, name in enumerate(names):
        value, content_type = _shrunk(name, jpeg)
        yield Item(value, content_type, number / rate if rate else None)


def texts(path: Path, *, rate: float | None = None, loop: bool = False) -> Iterator[Item]:
    """Yield each line of a file that is not blank, as the bytes that it has.

    Args:
        path: the file.
        rate: lines a second.
        loop: begin again at the end, for ever.

    Raises:
        InputError: the file cannot be read, or has nothing to repeat.
    """
    number = 0
    try:
        while True:
            before = number
            with path.open("rb") as file:
                for line in file:
                    if value := line.strip():
                        yield Item(value, "text/plain", number / rate if rate else None)
                        number += 1
            if not loop:
                return
            if number == before:
                raise InputError(f"{path}: every line is blank, so there is nothing to repeat")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def picture(path: Path, jpeg: Jpeg, *, rate: float) -> Iterator[Item]:
    """Yield one picture again and again, `rate` times a second, for ever."""
    value, content_type = _shrunk(path, jpeg)
    for number in count():
        yield Item(value, content_type, number / rate)


def _opencv() -> ModuleType:
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            'Cameras and videos need OpenCV. Run `pip install "sentistream[local]"`.'
        ) from error
    # It warns on stderr about each backend that it tries; we say what failed.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    module: ModuleType = cv2
    return module


def _frames_per_second(cv2: ModuleType, path: Path) -> float:
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise InputError(f"{path}: cannot be read as a video")
        fps = float(capture.get(cv2.CAP_PROP_FPS))
    finally:
        capture.release()
    return fps if fps > 0 else FALLBACK_FPS


def _encode(cv2: ModuleType, frame: NDArray[np.uint8], jpeg: Jpeg) -> bytes:
    height, width = frame.shape[:2]
    size = jpeg.size(width, height)
    if size != (width, height):
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    ok, encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, jpeg.quality])
    if not ok:
        raise InputError(f"a frame of {width}x{height} pixels cannot be encoded as JPEG")
    value: bytes = encoded.tobytes()
    return value


def _shrunk(path: Path, jpeg: Jpeg) -> tuple[bytes, str]:
    """Return the file's bytes and type, or those of its smaller copy."""
    try:
        value = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    content_type = CONTENT_TYPES[path.suffix.lower()]
    if jpeg.max_side is None:
        return value, content_type
    try:
        with Image.open(io.BytesIO(value)) as image:
            if max(image.size) <= jpeg.max_side:
                return value, content_type
            upright = ImageOps.exif_transpose(image).convert("RGB")
            small = upright.resize(jpeg.size(*upright.size), Image.Resampling.LANCZOS)
            output = io.BytesIO()
            small.save(output, "JPEG", quality=jpeg.quality)
    except Exception:  # decoders of broken files raise nearly anything
        return value, content_type
    return output.getvalue(), "image/jpeg"
