"""Judges a bundle with exactly the code that serves it: its ONNX encoder and its UBJ head."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle import load_bundle
from models.encoder import Encoder
from models.head import Head
from training import rafdb
from training.metrics import report
from training.progress import Progress

__all__ = ["encode", "evaluate"]

STEP = 64  # faces between two steps of the progress bar


def evaluate(bundle: Path, data: Path) -> dict[str, Any]:
    """Return the metrics of a bundle's calibrated probabilities on RAF-DB's test split.

    Args:
        bundle: the folder of a version, or one with `ACTIVE`.
        data: RAF-DB's tar file.

    Raises:
        BundleError: the bundle is refused.
        DataError: the data cannot be read.
    """
    checked = load_bundle(bundle)
    faces = rafdb.read(data, "test", side=checked.manifest.input_size)
    features = encode(Encoder.of(checked), faces.images, Progress())
    metrics = report(faces.labels, Head(checked).predict(features), checked.manifest.classes)
    return {"bundle": checked.manifest.version, "split": "test", **metrics}


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
