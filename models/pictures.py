"""Untrusted bytes to pixels, within limits."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from models.errors import ContentError
from models.options import Limits

__all__ = ["IMAGE_FORMATS", "Picture", "decode_picture"]

IMAGE_FORMATS: Final = ("JPEG", "PNG", "WEBP")
EXIF_ORIENTATION: Final = 0x0112
# Orientations that turn the picture by a quarter, so that width and height change places.
QUARTER_TURNS: Final = frozenset({5, 6, 7, 8})
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

    Dimensions are checked on the header, before any pixel is decoded. Of an animation the first
    picture is taken.

    Raises:
        ContentError: `too_large`, `too_many_pixels` or `broken_image`.
    """
    if len(value) > limits.max_bytes:
        raise ContentError(
            "too_large", f"the picture has {len(value)} bytes; the limit is {limits.max_bytes}"
        )
    try:
        with Image.open(io.BytesIO(value), formats=IMAGE_FORMATS) as image:
            width, height = image.size
            if width * height > limits.max_pixels:
                raise ContentError(
                    "too_many_pixels",
                    f"the picture has {width}x{height} pixels; the limit is {limits.max_pixels}",
                )
            image.draft("RGB", _draft_size(width, height))
            # Read before the transposition, which takes the tag away.
            turned = image.getexif().get(EXIF_ORIENTATION) in QUARTER_TURNS
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):
                # 16 bit grey; converting would cut at 255 instead of scaling.
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            rgb = upright.convert("RGB")
            original_width = height if turned else width
            # Other formats are decoded whole, but need not stay so.
            if (shrink := max(rgb.size) // DECODED_SIDE_PX) >= 2:
                rgb = rgb.reduce(shrink)
            return Picture(rgb, original_width / rgb.width)
    except ContentError:
        raise
    except UnidentifiedImageError as error:
        raise ContentError("broken_image", "the bytes are no JPEG, PNG or WebP picture") from error
    # Decoders of hostile bytes raise nearly anything: OSError, SyntaxError, struct.error, …
    except Exception as error:
        raise ContentError("broken_image", f"the picture cannot be decoded: {error}") from error


def _draft_size(width: int, height: int) -> tuple[int, int]:
    """Return the least size that a JPEG decoder may give: it halves only down to this."""
    shrink = max(1.0, max(width, height) / DECODED_SIDE_PX)
    return max(1, round(width / shrink)), max(1, round(height / shrink))
