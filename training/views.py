"""Changed copies of the training faces, for a head that shall not trust features too much.

The encoder has learnt the training faces, so their features are further apart than those of new
faces. Those of faces that were turned, shifted and coloured anew look more like new ones.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from training.augmentation import augment, normalise
from training.config import Augmentation
from training.datasets.faces import Faces

__all__ = ["changed", "copies"]

BATCH = 256


def changed(faces: Faces, ranges: Augmentation, seed: int) -> NDArray[np.uint8]:
    """Return each face once, changed at random: uint8 [n, side, side, 3].

    Args:
        faces: n faces.
        ranges: how much may change.
        seed: the same one gives the same pictures.
    """
    result = np.empty_like(faces.images)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for start in range(0, len(faces), BATCH):
            piece = slice(start, start + BATCH)
            images = augment(normalise(torch.from_numpy(faces.images[piece])), ranges)
            pixels = images.add_(1).mul_(127.5).round_().clamp_(0, 255)
            result[piece] = pixels.permute(0, 2, 3, 1).to(torch.uint8).numpy()
    return result


def copies(
    faces: Faces, ranges: Augmentation, seed: int, count: int
) -> Iterator[NDArray[np.uint8]]:
    """Give all faces, changed at random, `count` times, each time in another way."""
    for view in range(1, count + 1):
        yield changed(faces, ranges, seed + view)
