"""Features of faces, computed once for the same encoder and the same pictures."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.encoder import Encoder
from training.progress import Progress

__all__ = ["cached", "cached_features", "encode"]

STEP = 64  # faces between two steps of the progress bar


def cached_features(
    encoder: Encoder, path: Path, images: NDArray[np.uint8], cache: Path, progress: Progress
) -> NDArray[np.float32]:
    """Return the features of aligned faces, from the cache where they were computed before.

    Args:
        encoder: the opened encoder.
        path: its ONNX file.
        images: uint8 [n, size, size, 3].
        cache: a folder, which is made.
        progress: where steps are reported.

    Returns:
        float32 [n, feature_count].
    """
    digest = hashlib.sha256(path.read_bytes())
    digest.update(np.ascontiguousarray(images).data)
    shape = (len(images), encoder.feature_count)
    return cached(digest.hexdigest(), shape, cache, lambda: encode(encoder, images, progress))


def cached(
    digest: str, shape: tuple[int, int], cache: Path, compute: Callable[[], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return features from the cache, or compute and keep them.

    The name of a file in the cache is a hash of the encoder's file and of what is encoded, so that
    nothing has to be cleared when one of them changes. A file that cannot be read is replaced.

    Args:
        digest: the hash, in hexadecimal.
        shape: [n, feature_count], which they must have.
        cache: a folder, which is made.
        compute: gives the features.

    Returns:
        float32 of this shape.
    """
    file = cache / f"{digest[:32]}.npy"
    try:
        found: NDArray[np.float32] = np.load(file, allow_pickle=False)
        if found.shape == shape:
            return found
    except (OSError, ValueError, EOFError):
        pass  # absent, or cut off by a crash
    features = compute()
    cache.mkdir(parents=True, exist_ok=True)
    part = cache / f"{file.stem}.{os.getpid()}.part.npy"
    np.save(part, features, allow_pickle=False)
    part.replace(file)
    return features


def encode(encoder: Encoder, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
    """Return the features [n, feature_count] of aligned faces, uint8 [n, size, size, 3]."""
    features = np.empty((len(images), encoder.feature_count), np.float32)
    progress.start("features", total=len(images))
    for start in range(0, len(images), STEP):
        piece = slice(start, start + STEP)
        features[piece] = encoder.encode(images[piece])
        progress.advance(len(images[piece]))
    progress.finish()
    return features
