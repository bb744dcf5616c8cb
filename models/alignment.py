"""Turns a detected face upright and to the geometry of the training crops.

The encoder was trained on crops in which the five landmarks lie at fixed places. The similarity
transform (rotation, one scale, shift) that brings the detected landmarks there in the least
squares sense is a complex linear regression: with points as complex numbers, `w = a z + b`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["align_face", "similarity"]


def similarity(
    source: NDArray[np.floating], target: NDArray[np.floating]
) -> tuple[complex, complex]:
    """Return `a`, `b` of the least squares similarity `target = a * source + b`.

    Args:
        source: points, shape (n, 2), x and y; not all the same.
        target: points, shape (n, 2).
    """
    z = source[:, 0] + 1j * source[:, 1]
    w = target[:, 0] + 1j * target[:, 1]
    centred = z - z.mean()
    spread = float(np.vdot(centred, centred).real)
    # Five landmarks on one pixel have no geometry; a tiny face is then merely cut out around it.
    a = complex(np.vdot(centred, w - w.mean()) / spread) if spread > 0 else 1 + 0j
    return a, complex(w.mean() - a * z.mean())


def align_face(
    image: Image.Image,
    landmarks: NDArray[np.floating],
    template: Sequence[tuple[float, float]],
    size: int,
) -> NDArray[np.uint8]:
    """Return the aligned crop of one face.

    Args:
        image: RGB picture.
        landmarks: five points in pixels of `image`, shape (5, 2): eyes, nose, mouth corners.
        template: where they shall lie, as shares of the side.
        size: side of the crop in pixels.

    Returns:
        uint8 RGB, shape (size, size, 3); black where the crop leaves the picture.
    """
    a, b = similarity(landmarks, np.asarray(template) * size)
    if a == 0:
        a = 1 + 0j
    # Pillow wants the way back, from a pixel of the crop to one of the picture: z = (w - b) / a.
    back, origin = 1 / a, -b / a
    shrink = int(abs(back))
    if shrink >= 2:
        # Averaging first keeps a large face from aliasing; the corners say which part is needed.
        corners = origin + back * np.array([0, size, 1j * size, size + 1j * size])
        left = min(max(0, int(corners.real.min()) - shrink), image.width - 1)
        top = min(max(0, int(corners.imag.min()) - shrink), image.height - 1)
        right = max(left + 1, min(image.width, int(corners.real.max()) + 2 * shrink))
        bottom = max(top + 1, min(image.height, int(corners.imag.max()) + 2 * shrink))
        image = image.reduce(shrink, box=(left, top, right, bottom))
        origin = (origin - complex(left, top)) / shrink
        back /= shrink
    crop = image.transform(
        (size, size),
        Image.Transform.AFFINE,
        (back.real, -back.imag, origin.real, back.imag, back.real, origin.imag),
        resample=Image.Resampling.BILINEAR,
    )
    return np.asarray(crop)
