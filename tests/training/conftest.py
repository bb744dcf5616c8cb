"""Tiny data to train on."""

from pathlib import Path

import numpy as np
import pytest
from tiny_rafdb import write_tar

from training.datasets.faces import Faces

SIDE = 32  # pixels: the smallest network input, so that training takes seconds


@pytest.fixture
def tiny_tar(tmp_path: Path) -> Path:
    """Return a tar of 84 train and 21 test pictures."""
    path = tmp_path / "tiny.tar"
    write_tar(path, {"train": 12, "test": 3})
    return path


@pytest.fixture(scope="session")
def faces() -> Faces:
    """Return 28 pictures in memory, four of each class."""
    labels = np.arange(28, dtype=np.int64) % 7
    images = np.random.default_rng(0).integers(0, 120, (28, SIDE, SIDE, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 * label : 4 * label + 4] = 255
    targets = np.eye(7, dtype=np.float32)[labels]
    names = tuple(f"face {number}" for number in range(28))
    return Faces(images, targets, names, np.full(28, 100, np.int64))


TINY = """
[data]
validation_fraction = 0.2
[[data.sources]]
name = "tiny"
format = "rafdb"
path = "tiny.tar"
[network]
weights = "none"
input_size = 32
[augmentation]
flip = 0.0
[finetuning]
batch_size = 8
precision = "fp32"
compiled = false
[[finetuning.phases]]
sources = ["tiny"]
epochs = 1
[head]
search = false
max_rounds = 5
views = 1
"""


@pytest.fixture
def tiny_config(tmp_path: Path) -> Path:
    """Return settings with which all stages take seconds."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path
