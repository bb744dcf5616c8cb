"""Untrusted bytes to pixels, within limits."""

from __future__ import annotations

import io
import logging
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from models.decoding import (
    PixelBudget,
    jpeg_scans,
    jpeg_without_metadata,
    png_without_metadata,
    work,
)
from models.errors import ContentError
from models.options import Limits

__all__ = ["IMAGE_FORMATS", "Picture", "decode_picture"]

_log = logging.getLogger(__name__)
_BUDGET: Final = PixelBudget()

IMAGE_FORMATS: Final = ("JPEG", "PNG", "WEBP")
EXIF_ORIENTATION: Final = 0x0112
# The value of the tag: what has to be done with the picture as it is stored (TIFF 6.0, page 36).
TURNS: Final[dict[object, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Those that make width and height change places.
QUARTER_TURNS: Final = frozenset(TURNS[value] for value in (5, 6, 7, 8))
JPEG_MAGIC: Final = b"\xff\xd8"
PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
# A picture longer than twice this is shrunk, a JPEG already while it is decoded: no face that the
# detector can find then needs more pixels, a 12 megapixel photo costs a quarter, and what is held
# in memory is bounded.
DECODED_SIDE_PX: Final = 1280

# Pillow's own limit warns at 89 and refuses at 179 megapixels; ours is checked on the header
# instead and is lower, so that one must not interfere with a setting above it.
Image.MAX_IMAGE_PIXELS = None


class Picture:
    """One decoded picture.

    Attributes:
        pixels: uint8 RGB, shape (height, width, 3), upright; perhaps smaller than the original.
        scale: original pixels per pixel of `pixels`, at least 1.
    """

    __slots__ = ("image", "scale")

    def __init__(self, image: Image.Image, scale: float) -> None:
        self.image = image
        self.scale = scale

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The pixels as an array of shape (height, width, 3)."""
        return np.asarray(self.image)


def decode_picture(value: bytes, limits: Limits) -> Picture:
    """Decode a JPEG, PNG or WebP picture, upright by its EXIF orientation.

    What it will take is checked on the header, before any pixel is decoded; large pictures of
    several threads wait for each other. Of an animation the first picture is taken. What is
    transparent is white. Metadata that are broken are as if they were not there.

    Raises:
        ContentError: `too_large`, `too_many_pixels` or `broken_image`.
    """
    if len(value) > limits.max_bytes:
        raise ContentError(
            "too_large", f"the picture has {len(value)} bytes; the limit is {limits.max_bytes}"
        )
    exif: bytes | None = None
    if value.startswith(JPEG_MAGIC):
        value, exif = jpeg_without_metadata(value)
    elif value.startswith(PNG_MAGIC):
        value = png_without_metadata(value)
    try:
        with Image.open(io.BytesIO(value), formats=IMAGE_FORMATS) as image:
            width, height = image.size
            kind = image.format or ""
            _check(kind, width, height, value, limits)
            image.draft("RGB", _draft_size(width, height))
            # A plain JPEG is decoded smaller at once; in a progressive one all is held until then.
            whole = kind != "JPEG" or jpeg_scans(value) > 1
            pixels = width * height if whole else image.width * image.height
            with _BUDGET.take(pixels, limits.max_pixels):
                image.load()
                return _upright(image, _turn(image, exif), width, height)
    except ContentError:
        raise
    except UnidentifiedImageError as error:
        raise ContentError("broken_image", "the bytes are no JPEG, PNG or WebP picture") from error
    # Decoders of hostile bytes raise nearly anything: OSError, SyntaxError, struct.error, …
    except Exception as error:
        raise ContentError("broken_image", f"the picture cannot be decoded: {error}") from error


def _check(kind: str, width: int, height: int, value: bytes, limits: Limits) -> None:
    most = limits.max_pixels
    if max(width, height) > limits.max_image_side:
        sides = f"{width}x{height} pixels; the limit of a side is {limits.max_image_side}"
        raise ContentError("too_many_pixels", f"the picture has {sides}")
    if width * height > most:
        detail = f"the picture has {width}x{height} pixels; the limit is {most}"
        raise ContentError("too_many_pixels", detail)
    if (cost := work(kind, width, height, value)) > most:
        detail = f"decoding its {width}x{height} pixels takes as much as {cost} plain ones"
        raise ContentError("too_many_pixels", f"{detail}; the limit is {most}")


def _upright(image: Image.Image, turn: Image.Transpose | None, width: int, height: int) -> Picture:
    """Turn a decoded picture upright and into RGB, and shrink it if it is large.

    Args:
        image: all of its pixels are loaded.
        turn: what has to be done with it.
        width: of the original, as it is stored.
        height: likewise.
    """
    if image.mode.startswith("I"):
        # 16 bit grey; converting would cut at 255 instead of scaling.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    # Other formats than JPEG are decoded whole, but need not stay so.
    shrink = max(image.size) // DECODED_SIDE_PX
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = image.reduce(shrink) if shrink >= 2 else image
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    else:
        image = image.convert("RGB")
        image = image.reduce(shrink) if shrink >= 2 else image
    if turn is not None:
        image = image.transpose(turn)
    original_width = height if turn in QUARTER_TURNS else width
    return Picture(image, original_width / image.width)


def _turn(image: Image.Image, exif: bytes | None) -> Image.Transpose | None:
    """Return how to turn a picture upright; None if it is, or does not say in a usable way.

    Args:
        image: the picture, with its EXIF data if they are not given.
        exif: they, as they were in the file.
    """
    try:
        if exif is None:
            return TURNS.get(image.getexif().get(EXIF_ORIENTATION))
        tags = Image.Exif()
        tags.load(exif)
        return TURNS.get(tags.get(EXIF_ORIENTATION))
    except Exception as error:  # readers of hostile tags raise nearly anything
        _log.debug("the orientation of a picture cannot be read: %s", error)
        return None


def _draft_size(width: int, height: int) -> tuple[int, int]:
    """Return the least size that a JPEG decoder may give: it halves only down to this."""
    shrink = max(1.0, max(width, height) / DECODED_SIDE_PX)
    return max(1, round(width / shrink)), max(1, round(height / shrink))
