"""Changed copies of faces for the head."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')

from training.config import Augmentation  # noqa: E402
from training.datasets.faces import Faces  # noqa: E402
from training.views import changed  # noqa: E402


def test_views_differ_from_the_faces_and_repeat_with_the_seed(faces: Faces) -> None:
    state = torch.random.get_rng_state()
    first, again, other = (changed(faces, Augmentation(), seed) for seed in (1, 1, 2))
    assert first.shape == faces.images.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, faces.images)
    assert torch.equal(torch.random.get_rng_state(), state)  # the run's own draws are untouched


def test_without_ranges_a_view_is_the_face_itself(faces: Faces) -> None:
    none = Augmentation(**dict.fromkeys(Augmentation.model_fields, 0))
    same = changed(faces, none, 1).astype(int)
    assert np.abs(same - faces.images).max() <= 1
