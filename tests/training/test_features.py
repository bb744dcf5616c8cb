"""Features are computed once for the same encoder and pictures, and once again for others."""

from pathlib import Path

import numpy as np
import pytest

from models.encoder import Encoder
from training.features import cached_features
from training.progress import Progress


class CountingEncoder(Encoder):
    """Stands for an opened encoder, which takes seconds to make."""

    def __init__(self) -> None:
        self.calls = 0

    @property
    def feature_count(self) -> int:  # type: ignore[override]
        return 3

    def encode(self, crops: np.ndarray) -> np.ndarray:
        self.calls += 1
        return crops.reshape(len(crops), -1)[:, :3].astype(np.float32)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (5, 4, 4, 3), dtype=np.uint8)


def test_features_are_kept_by_content(tmp_path: Path, images: np.ndarray) -> None:
    encoder, path, cache = CountingEncoder(), tmp_path / "encoder.onnx", tmp_path / "features"
    path.write_bytes(b"one")

    def features(pictures: np.ndarray) -> np.ndarray:
        return cached_features(encoder, path, pictures, cache, Progress())

    first = features(images)
    assert np.array_equal(features(images.copy()), first)
    assert encoder.calls == 1
    features(images[::-1])
    assert encoder.calls == 2
    path.write_bytes(b"another encoder")
    features(images)
    assert encoder.calls == 3
    assert len(list(cache.iterdir())) == 3


def test_a_cut_off_file_is_computed_again(tmp_path: Path, images: np.ndarray) -> None:
    encoder, path, cache = CountingEncoder(), tmp_path / "encoder.onnx", tmp_path / "features"
    path.write_bytes(b"one")
    first = cached_features(encoder, path, images, cache, Progress())
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:90])
    assert np.array_equal(cached_features(encoder, path, images, cache, Progress()), first)
    assert encoder.calls == 2
