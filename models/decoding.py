"""What decoding a picture takes, known before a pixel is decoded; and metadata, left out of it."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["PixelBudget", "jpeg_scans", "jpeg_without_metadata", "png_without_metadata", "work"]

# A JPEG can hold its picture in thousands of scans, each of which touches every pixel. Ten is what
# libjpeg's own progressive mode makes of a picture in colour.
SCANS_PER_PIXEL: Final = 10
# libwebp's decoder holds two canvases beside the picture itself.
WEBP_WEIGHT: Final = 2
START_OF_SCAN: Final = b"\xff\xda"
MARKER: Final = 0xFF
ALONE: Final = frozenset({0x01, *range(0xD0, 0xDA)})  # markers without a length
APPLICATION: Final = frozenset({*range(0xE0, 0xF0)} - {0xE0, 0xEE})  # but for JFIF and Adobe
COMMENT: Final = 0xFE
EXIF: Final = b"Exif\0\0"
PNG_HEAD: Final = 8
# All that pixels depend on, and the orientation.
PNG_CHUNKS: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"})


def jpeg_scans(value: bytes) -> int:
    """Return how many scans a JPEG without metadata has.

    In what is compressed the two bytes cannot stand: 0xff is followed by 0 there.
    """
    return value.count(START_OF_SCAN)


def work(kind: str, width: int, height: int, value: bytes) -> int:
    """Return what decoding takes, in pixels of a plain picture."""
    if kind == "JPEG":
        return width * height * -(-jpeg_scans(value) // SCANS_PER_PIXEL)
    return width * height * (WEBP_WEIGHT if kind == "WEBP" else 1)


def jpeg_without_metadata(value: bytes) -> tuple[bytes, bytes]:
    """Return a JPEG with nothing but its picture, and the EXIF data that were in it, if any.

    What pixels depend on among the application segments is kept: JFIF and Adobe's.
    """
    kept, exif, place = [value[:2]], b"", 2
    while place + 4 <= len(value) and value[place] == MARKER:
        kind, (size,) = value[place + 1], struct.unpack_from(">H", value, place + 2)
        if kind == MARKER:  # filling
            place += 1
            continue
        if kind in ALONE or value[place : place + 2] == START_OF_SCAN:
            break
        end = place + 2 + size
        if kind in APPLICATION or kind == COMMENT:
            if value.startswith(EXIF, place + 4) and not exif:
                exif = value[place + 4 : end]
        else:
            kept.append(value[place:end])
        place = end
    kept.append(value[place:])
    return b"".join(kept), exif


def png_without_metadata(value: bytes) -> bytes:
    """Return a PNG without texts, colour profiles and the like: they may be broken or huge.

    What is no whole chunk ends it, as what follows cannot be found.
    """
    kept, place = [value[:PNG_HEAD]], PNG_HEAD
    while place + 8 <= len(value):
        size, name = struct.unpack_from(">I4s", value, place)
        end = place + 12 + size
        if name in PNG_CHUNKS:
            kept.append(value[place:end])
        place = end
    return b"".join(kept)


class PixelBudget:
    """Bounds the pixels that the threads of a process decode at the same time."""

    def __init__(self) -> None:
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int, most: int) -> Iterator[None]:
        """Wait until so many more are within `most`; one picture alone always is."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + pixels <= most)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()
