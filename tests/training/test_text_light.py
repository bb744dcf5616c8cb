"""The light model: what is written computes what was fitted, whatever stands beside a text."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')
pytest.importorskip("sklearn", reason='needs scikit-learn: pip install "sentistream[train]"')

from models.bundle import CALIBRATION, ENCODER
from models.text_encoder import TextEncoder
from training.errors import ExportError
from training.progress import Progress
from training.text import light
from training.text.config import Light
from training.text.light import Labelled, fit_light, hashed_counts

VOCABULARY, BUCKETS = 50, 32
SETTINGS = Light(buckets=BUCKETS, fewest=1, regularisation=(0.1, 10.0))


def drawn(seed: int, count: int = 90) -> Labelled:
    """Return texts in which each class has pieces of its own."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    ids = [
        [1, *rng.integers(4 + 10 * label, 20 + 10 * label, rng.integers(1, 9)).tolist(), 2]
        for label in labels
    ]
    return Labelled(ids, labels)


TRAIN, HELD = drawn(1), drawn(2)


def fit(folder: Path) -> dict[str, object]:
    return fit_light(SETTINGS, VOCABULARY, TRAIN, HELD, folder, Progress())


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder = tmp_path_factory.mktemp("light")
    fit(folder)
    return TextEncoder(folder / ENCODER, 3)


def test_it_learns_is_calibrated_and_says_what_it_chose(tmp_path: Path) -> None:
    found = fit(tmp_path / "new")
    assert found["balanced_accuracy"] > 0.7
    assert found["regularisation"] in (0.1, 10.0)
    assert found["bytes"] == (tmp_path / "new" / ENCODER).stat().st_size
    assert (tmp_path / "new" / CALIBRATION).is_file()


TEXTS = st.lists(
    st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=40), min_size=1, max_size=8
)


@given(TEXTS)
def test_the_logits_of_a_text_depend_on_nothing_but_the_text(
    encoder: TextEncoder, texts: list[list[int]]
) -> None:
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    assert np.isfinite(together).all()
    assert np.array_equal(together, alone)  # to the bit


def test_pieces_and_pairs_are_counted() -> None:
    counts = hashed_counts([[1, 5, 5, 2], [1]], VOCABULARY, BUCKETS).toarray()
    assert counts[0, 5] == 2
    assert counts[0, VOCABULARY:].sum() == 3
    assert counts[1].sum() == 1


def test_a_model_that_is_not_what_was_fitted_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(light, "PARITY", -1.0)
    with pytest.raises(ExportError, match="differs from the fitted one by"):
        fit(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ExportError, match="No space left on device"):
        fit(tmp_path)
    assert list(tmp_path.iterdir()) == []
