"""Which faces an epoch sees."""

import numpy as np
import pytest

from training.datasets.faces import Faces

torch = pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')

from training.sampling import sampler  # noqa: E402


def test_without_a_limit_every_epoch_sees_every_face_once(faces: Faces) -> None:
    rows = sampler(("a", "b"), {"a": faces, "b": faces}, {})
    first, second = rows.draw(), rows.draw()
    assert len(rows) == 56
    assert sorted(first) == sorted(second) == list(range(56))
    assert list(first) != list(second)


def test_a_limit_holds_for_each_class_of_its_source_and_draws_anew(faces: Faces) -> None:
    torch.manual_seed(0)
    few = faces.take(np.flatnonzero(faces.labels != 3)[1:])  # three of class 0, none of class 3
    rows = sampler(("a", "b"), {"a": faces, "b": few}, {"b": 3})
    labels = np.concatenate([faces.labels, few.labels])
    drawn = [rows.draw() for _ in range(20)]
    assert len(rows) == 28 + 6 * 3
    for epoch in drawn:
        assert len(np.unique(epoch)) == len(rows)
        assert set(range(28)) <= set(epoch)
        of_limited = labels[epoch[epoch >= 28]]
        assert np.bincount(of_limited, minlength=7).tolist() == [3, 3, 3, 0, 3, 3, 3]
        assert sorted(labels[epoch]) == sorted(labels[rows.typical])
    assert set(np.concatenate(drawn)) == set(range(len(labels)))  # in time, all are seen


def test_sources_may_stand_in_any_order(faces: Faces) -> None:
    few = faces.take(np.arange(7))
    rows = sampler(("few", "all"), {"few": few, "all": faces}, {"few": 1})
    assert sorted(rows.draw()) == list(range(35))
