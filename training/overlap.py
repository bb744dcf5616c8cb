"""Which labelled box is which detection: intersection over union, and one-to-one pairs."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["iou", "match"]


def iou(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return intersection over union of boxes [n, 4] with boxes [m, 4], as float64 [n, m].

    Boxes are left, top, right, bottom and have an area; n and m may be 0.
    """
    first = np.asarray(a, np.float64).reshape(-1, 1, 4)
    second = np.asarray(b, np.float64).reshape(1, -1, 4)
    corner = np.maximum(first[..., :2], second[..., :2])
    opposite = np.minimum(first[..., 2:], second[..., 2:])
    shared = np.prod(np.maximum(opposite - corner, 0), axis=-1)
    area_a, area_b = (np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (first, second))
    overlap: NDArray[np.float64] = shared / (area_a + area_b - shared)
    return overlap


def match(overlap: NDArray[np.floating], least: float) -> dict[int, int]:
    """Match rows and columns of `overlap` [n, m] one to one, the largest overlap first.

    Returns:
        The column of each matched row; pairs under `least` are not matched. Of equal pairs the
        first row wins, then the first column.
    """
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for flat in np.argsort(-overlap, axis=None, kind="stable").tolist():
        row, column = divmod(flat, overlap.shape[1])
        if overlap[row, column] < least:
            break
        if row not in pairs and column not in taken:
            pairs[row] = column
            taken.add(column)
    return pairs
