"""Turns aligned crops into features with the bundle's ONNX encoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.errors import BundleError
from models.runtime import open_session

__all__ = ["BATCH_SIZES", "Encoder"]

# Few sizes, so that ONNX Runtime plans few shapes; larger batches leave the cache of a core.
BATCH_SIZES: Final = (8, 4, 2, 1)


class Encoder:
    """An EfficientNet without its classifier."""

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        """Open the encoder and check its shapes against the manifest.

        Raises:
            BundleError: input or output is not what the manifest says.
        """
        manifest = bundle.manifest
        self.size = manifest.input_size
        self.feature_count = manifest.feature_count
        self._mean = np.float32(manifest.preprocessing.mean)
        self._scale = np.float32(1 / manifest.preprocessing.scale)
        self._session = open_session(bundle.encoder, threads)
        (image,), (features,) = self._session.get_inputs(), self._session.get_outputs()
        self._input = image.name
        if list(image.shape[1:]) != [3, self.size, self.size]:
            raise BundleError(
                f"{bundle.encoder}: input is {image.shape}, the manifest says "
                f"[n, 3, {self.size}, {self.size}]"
            )
        if list(features.shape[1:]) != [self.feature_count]:
            raise BundleError(
                f"{bundle.encoder}: output is {features.shape}, the manifest says "
                f"[n, {self.feature_count}]"
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
