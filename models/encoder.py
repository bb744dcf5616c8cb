"""Turns aligned crops into features with the bundle's ONNX encoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle, Preprocessing
from models.errors import BundleError
from models.runtime import open_session

__all__ = ["BATCH_SIZES", "Encoder"]

# Few sizes, so that ONNX Runtime plans few shapes; larger batches leave the cache of a core.
BATCH_SIZES: Final = (8, 4, 2, 1)


class Encoder:
    """An EfficientNet without its classifier."""

    def __init__(
        self,
        path: Path,
        size: int,
        feature_count: int,
        preprocessing: Preprocessing,
        threads: int = 0,
    ) -> None:
        """Open an encoder and check its shapes.

        Args:
            path: the ONNX model; input (n, 3, size, size), output (n, feature_count), float32.
            size: side of a crop in pixels.
            feature_count: numbers per face.
            preprocessing: how pixels become the input.
            threads: of one run; 0 takes the cores.

        Raises:
            BundleError: input or output has another shape.
        """
        self.size = size
        self.feature_count = feature_count
        self._mean = np.float32(preprocessing.mean)
        self._scale = np.float32(1 / preprocessing.scale)
        self._session = open_session(path, threads)
        (image,), (features,) = self._session.get_inputs(), self._session.get_outputs()
        self._input = image.name
        for name, found, expected in (
            ("input", image.shape[1:], [3, size, size]),
            ("output", features.shape[1:], [feature_count]),
        ):
            if list(found) != expected:
                raise BundleError(
                    f"{path}: the {name} is (n, *{list(found)}), the manifest says (n, *{expected})"
                )

    @classmethod
    def of(cls, bundle: Bundle, threads: int = 0) -> Encoder:
        """Open the encoder of a bundle."""
        manifest = bundle.manifest
        return cls(
            bundle.encoder,
            manifest.input_size,
            manifest.feature_count,
            manifest.preprocessing,
            threads,
        )

    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the features of aligned crops.

        Args:
            crops: uint8 RGB, shape (n, size, size, 3); n may be 0.

        Returns:
            float32, shape (n, feature_count).
        """
        features = np.empty((len(crops), self.feature_count), np.float32)
        for start, stop in _pieces(len(crops)):
            pixels = crops[start:stop].transpose(0, 3, 1, 2).astype(np.float32)
            pixels -= self._mean
            pixels *= self._scale
            (features[start:stop],) = self._session.run(None, {self._input: pixels})
        return features


def _pieces(count: int) -> Iterator[tuple[int, int]]:
    """Cut `count` items into pieces of the fixed sizes, the largest first."""
    start = 0
    for size in BATCH_SIZES:
        while count - start >= size:
            yield start, start + size
            start += size
