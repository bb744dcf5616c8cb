"""A thumbnail shows the face, and no place."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.thumbnails import SIDE, thumbnail


def contrast(picture: NDArray[np.float64]) -> float:
    return float(picture.std())


@pytest.mark.parametrize("size", [96, 160, 224])
def test_the_middle_is_sharp_and_the_surroundings_are_gone(size: int) -> None:
    period = size // 12
    steps = np.arange(size) // period % 2
    board = np.where(steps[:, None] ^ steps[None, :], 255, 0).astype(np.uint8)
    jpeg = thumbnail(np.repeat(board[:, :, None], 3, axis=2))
    with Image.open(io.BytesIO(jpeg)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (SIDE, SIDE))
        made = np.asarray(picture.convert("L"), dtype=np.float64)
    corner, middle = SIDE // 8, slice(SIDE // 3, 2 * SIDE // 3)
    assert contrast(made[middle, middle]) > 90  # of 127
    for rows in (slice(None, corner), slice(-corner, None)):
        for columns in (slice(None, corner), slice(-corner, None)):
            assert contrast(made[rows, columns]) < 12
