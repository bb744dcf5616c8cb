"""Classifies aligned faces: encoder and head of one face bundle."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.encoder import BATCH_SIZES, Encoder
from models.errors import BundleError
from models.head import Head
from models.reference import Coordinates, Projector
from models.runtime import thread_count

__all__ = ["FaceRow", "FaceScorer"]

# Calibrated probabilities in the order of `EXPRESSIONS`, and the place in the bundle's reference.
FaceRow = tuple[tuple[float, ...], Coordinates | None]

GREY: Final = 127  # a crop that says nothing, to see whether the parts go together


class FaceScorer:
    """Encoder and head of one face bundle.

    Attributes:
        bundle: what was opened.
        size: side of a crop in pixels.
    """

    def __init__(self, bundle: Bundle, threads: int = 0, pool: Executor | None = None) -> None:
        """Open the models, and see that they go together.

        Args:
            bundle: encoder, head and calibration.
            threads: of the head; 0 takes the cores.
            pool: runs batches of the encoder side by side, each on one thread.

        Raises:
            BundleError: the bundle does not fit.
        """
        self.bundle = bundle
        self._threads = thread_count(threads)
        self._pool = pool
        self._encoder = Encoder.of(bundle, threads=1)
        self._head = Head(bundle, self._threads)
        self._project = Projector(bundle.reference) if bundle.reference else None
        self.size = self._encoder.size
        self._check()

    def features(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return the features [n, feature_count] of crops, uint8 RGB (size, size, 3) each."""
        if not crops:
            return self._encoder.encode(np.empty((0, self.size, self.size, 3), np.uint8))
        step = min(max(BATCH_SIZES), -(-len(crops) // self._threads))
        batches = [
            np.stack(crops[start : start + step]) for start in range(0, len(crops), max(1, step))
        ]
        run = map if self._pool is None else self._pool.map
        return np.concatenate(list(run(self._encoder.encode, batches)))

    def classify(self, crops: Sequence[NDArray[np.uint8]]) -> list[tuple[float, ...]]:
        """Return the calibrated probabilities of each crop, in the order of `EXPRESSIONS`."""
        return [row for row, _ in self.score(crops)]

    def score(self, crops: Sequence[NDArray[np.uint8]]) -> list[FaceRow]:
        """Return by crop what `classify` does, and its place in the bundle's reference, if any."""
        if not crops:
            return []
        features = self.features(crops)
        rows = map(tuple, self._head.predict(features).tolist())
        places = [None] * len(crops) if self._project is None else self._project(features)
        return [*zip(rows, places, strict=True)]

    def _check(self) -> None:
        """Run every size of a batch once: shapes are planned, and numbers are numbers."""
        folder, blank = self.bundle.folder, np.full((self.size, self.size, 3), GREY, np.uint8)
        try:
            features = self._encoder.encode(np.stack([blank] * sum(BATCH_SIZES)))
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise BundleError(f"{folder}: the encoder cannot take a face: {error}") from error
        if not np.isfinite(features).all():
            raise BundleError(f"{folder}: the encoder gives what is no number")
        if not np.isfinite(self._head.predict(features)).all():
            raise BundleError(f"{folder}: the head gives what is no number")
