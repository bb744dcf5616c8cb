"""What others say of the faces that a network learns from.

The mean of several networks' logits errs less than any of them, and its errors are softer than
labels: distillation, Hinton et al. 2015 (arXiv:1503.02531).
"""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import models
from models.bundle import load_bundle
from models.encoder import Encoder
from models.observation import EXPRESSIONS
from training.datasets.sources import resized
from training.errors import ConfigError

__all__ = ["bundle_logits", "mirror"]

HERE = Path(models.__file__).parent
EVALUATION_BATCH = 256


def mirror(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return faces [n, side, side, 3] with left and right exchanged."""
    return np.ascontiguousarray(images[:, :, ::-1])


def bundle_logits(folder: Path, images: NDArray[np.uint8]) -> Tensor:
    """Return what a bundle's own classifier says: the mean over a face and its mirror image.

    Args:
        folder: of the bundle; a relative one is below the package's own bundles.
        images: uint8 RGB [n, side, side, 3]; resized to the side of the bundle.

    Returns:
        Logits, float32 [n, 7].

    Raises:
        BundleError: there is no such bundle, or it is broken.
        ConfigError: its encoder gives features alone.
    """
    bundle = load_bundle(HERE / folder)
    encoder = Encoder.of(bundle)
    sums = np.zeros((len(images), len(EXPRESSIONS)), np.float32)
    for start in range(0, len(images), EVALUATION_BATCH):
        batch = _of_side(images[start : start + EVALUATION_BATCH], encoder.size)
        for faces in (batch, mirror(batch)):
            features = encoder.encode(faces)
            if start == 0 and not _speaks(bundle.manifest.architecture, features.shape[1]):
                raise ConfigError(
                    f"finetuning.phases: the teacher {folder} has no classifier; only bundles "
                    "made with export.logits = true have one"
                )
            sums[start : start + len(batch)] += features[:, -len(EXPRESSIONS) :]
    return torch.from_numpy(sums / 2)


def _speaks(architecture: str, features: int) -> bool:
    import timm

    network = timm.create_model(architecture, num_classes=0)
    return features == cast("int", network.num_features) + len(EXPRESSIONS)


def _of_side(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if images.shape[1] == side:
        return images
    return np.stack([resized(Image.fromarray(image), side) for image in images])
