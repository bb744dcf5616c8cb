"""Which faces are learnt from, and which ones choose."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.observation import EXPRESSIONS
from training.datasets.faces import Faces
from training.errors import DataError

__all__ = ["known_elsewhere", "pixel_hashes", "stratified_split"]


def stratified_split(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows into (train, validation), with the same share of every class in validation.

    Both results are sorted int64 row numbers; at least one row of each class is held out.

    Raises:
        DataError: a class has one row, too few for both sides.
    """
    rng = np.random.default_rng(seed)
    held: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) < 2:
            raise DataError(
                f"{EXPRESSIONS[label]} has one picture; learning and choosing need one each"
            )
        held.append(rows[: max(1, round(len(rows) * fraction))])
    validation = np.sort(np.concatenate(held))
    train = np.setdiff1d(np.arange(len(labels)), validation)
    return train, validation


def pixel_hashes(faces: Faces) -> list[bytes]:
    """Return a hash of the pixels of each face, which no other encoding of the file changes."""
    return [hashlib.sha256(image.tobytes()).digest() for image in faces.images]


def known_elsewhere(faces: Faces, others: Sequence[Faces]) -> NDArray[np.int64]:
    """Return the rows of the faces whose pixels also stand in one of the others, int64, sorted."""
    known = {digest for other in others for digest in pixel_hashes(other)}
    rows = [row for row, digest in enumerate(pixel_hashes(faces)) if digest in known]
    return np.array(rows, np.int64)
