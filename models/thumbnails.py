"""Small pictures of faces, for people who look at a prediction; made when switched on alone.

A thumbnail shows the face and no place: everything outside an ellipse around it is blurred beyond
recognition.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["SIDE", "thumbnail"]

SIDE: Final = 96  # pixels
QUALITY: Final = 80
BLUR: Final = SIDE / 6  # standard deviation in pixels: nothing smaller than a third is left
EDGE: Final = SIDE / 32  # likewise, of the ellipse's own edge
# Half axes as shares of the side, around the middle of the five landmarks' usual place.
WIDTH: Final = 0.38
HEIGHT: Final = 0.46


def thumbnail(crop: NDArray[np.uint8]) -> bytes:
    """Return an aligned face as a JPEG of `SIDE` pixels without its surroundings.

    Args:
        crop: uint8 RGB, shape (n, n, 3).
    """
    face = Image.fromarray(crop).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    picture = Image.composite(face, face.filter(ImageFilter.GaussianBlur(BLUR)), _ellipse())
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


@lru_cache(maxsize=1)
def _ellipse() -> Image.Image:
    mask = Image.new("L", (SIDE, SIDE))
    left, top = (0.5 - WIDTH) * SIDE, (0.5 - HEIGHT) * SIDE
    ImageDraw.Draw(mask).ellipse((left, top, SIDE - left, SIDE - top), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(EDGE))
