"""Reading RAF-DB and splitting it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_rafdb import write_tar

from training.errors import DataError
from training.rafdb import read, stratified_split


def test_pictures_come_with_their_labels_in_the_order_of_the_label_file(tiny_tar: Path) -> None:
    faces = read(tiny_tar, "train", side=50)
    assert faces.images.shape == (84, 50, 50, 3)
    assert faces.labels.tolist() == [index % 7 for index in range(84)]
    for image, label in zip(faces.images, faces.labels, strict=True):
        rows = image.mean(axis=(1, 2))
        assert rows.argmax() // 5 == label + 1  # the bright patch of that class


def test_splits_are_kept_apart(tiny_tar: Path) -> None:
    assert len(read(tiny_tar, "test", side=32)) == 21


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.tar"):
        read(tmp_path / "absent.tar", "train", side=32)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    write_tar(tmp_path / "bad.tar", {"train": 1}, leave_out="train_00003_aligned.jpg")
    with pytest.raises(DataError, match="train_00003_aligned"):
        read(tmp_path / "bad.tar", "train", side=32)


def test_a_file_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(DataError, match="does not hold"):
        read(tmp_path / "bad.tar", "train", side=32)


@given(
    st.lists(st.integers(0, 6), min_size=2, max_size=200),
    st.floats(0.01, 0.49),
    st.integers(0, 2**32),
)
def test_a_split_loses_no_row_and_holds_out_every_class(
    classes: list[int], fraction: float, seed: int
) -> None:
    labels = np.array(classes, dtype=np.int64)
    train, validation = stratified_split(labels, fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    for label in set(classes):
        wanted = max(1, round(classes.count(label) * fraction))
        assert int((labels[validation] == label).sum()) == wanted
    again = stratified_split(labels, fraction, seed)
    assert np.array_equal(train, again[0])
    assert np.array_equal(validation, again[1])


def test_the_real_test_split_has_the_published_counts(data: Path) -> None:
    faces = read(data / "rafdb.tar", "test", side=16)
    assert np.bincount(faces.labels).tolist() == [329, 74, 160, 1185, 478, 162, 680]
