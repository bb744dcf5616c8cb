"""What a run learns from and chooses by: split, without faces that stand in a test split."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_rafdb import jpeg, write_tar

from models.observation import EXPRESSIONS
from training.config import Config, Data, Network, Source
from training.datasets.split import stratified_split
from training.errors import DataError
from training.preparation import prepare


def config(*sources: Source) -> Config:
    return Config(
        data=Data(sources=sources, validation_fraction=0.25), network=Network(input_size=32)
    )


def folder(name: str) -> Source:
    return Source(name=name, format="folder", path=name)


def write(root: Path, split: str, name: str, seed: int, suffix: str = "jpg") -> Path:
    file = root / split / name / f"{seed}.{suffix}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(jpeg(EXPRESSIONS.index(name), seed))
    return file


def test_validation_is_held_out_of_the_target_alone(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"train": 8, "test": 2})
    write_tar(tmp_path / "b.tar", {"train": 3, "test": 1}, seed=1000)
    raf = Source(name="a", format="rafdb", path="a.tar")
    other = Source(name="b", format="rafdb", path="b.tar")
    found = prepare(config(raf, other), tmp_path)
    assert {name: len(faces) for name, faces in found.train.items()} == {"a": 42, "b": 21}
    assert len(found.validation) == 14
    assert not set(found.validation.names) & set(found.train["a"].names)
    assert found.account["classes"]["test"] == dict.fromkeys(EXPRESSIONS, 2)
    assert found.target is found.train["a"]


def test_faces_of_a_test_split_are_not_learnt_from(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    for name in EXPRESSIONS:
        for seed in range(4):
            write(root, "train", name, seed)
        write(root, "test", name, 100)
    twin = write(root, "train", "fear", 100)
    # Another encoding of the same pixels is still the same face.
    with Image.open(twin) as picture:
        picture.save(twin.with_suffix(".png"))
    found = prepare(config(folder("mine")), tmp_path)
    source = found.account["sources"][0]
    in_train = [name for name in found.train["mine"].names if name.startswith("train/fear/100")]
    assert in_train == []
    held = [name for name in found.validation.names if name.startswith("train/fear/100")]
    assert source["duplicates_removed"] + len(held) == 2


def test_validation_of_its_own_is_used_where_there_is_one(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    for name in EXPRESSIONS:
        write(root, "train", name, 1)
        write(root, "train", name, 2)
        write(root, "validation", name, 2)  # stands in the training data as well
        write(root, "validation", name, 3)
    found = prepare(config(folder("mine")), tmp_path)
    assert len(found.validation) == 14
    assert len(found.train["mine"]) == 7
    assert found.account["sources"][0]["duplicates_removed"] == 7


def test_a_class_without_pictures_is_named(tmp_path: Path) -> None:
    for name in EXPRESSIONS[1:]:
        for seed in range(3):
            write(tmp_path / "mine", "train", name, seed)
    with pytest.raises(DataError, match="no picture of surprise"):
        prepare(config(folder("mine")), tmp_path)


def test_a_class_with_one_picture_is_named(tmp_path: Path) -> None:
    for name in EXPRESSIONS:
        for seed in range(1 if name == "anger" else 3):
            write(tmp_path / "mine", "train", name, seed)
    with pytest.raises(DataError, match="anger has one picture"):
        prepare(config(folder("mine")), tmp_path)


def test_the_fingerprint_follows_pixels_labels_and_names(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    for name in EXPRESSIONS:
        for seed in range(3):
            write(root, "train", name, seed)
    before = prepare(config(folder("mine")), tmp_path).fingerprints
    assert prepare(config(folder("mine")), tmp_path).fingerprints == before
    write(root, "train", "fear", 2).write_bytes(jpeg(1, 77))
    assert prepare(config(folder("mine")), tmp_path).fingerprints != before


@given(
    st.lists(st.integers(2, 40), min_size=1, max_size=7),
    st.floats(0.01, 0.45),
    st.integers(0, 2**31),
)
def test_a_split_is_stratified_disjoint_and_complete(
    counts: list[int], fraction: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    train, validation = stratified_split(labels, fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    for label, count in enumerate(counts):
        held = int((labels[validation] == label).sum())
        assert held == max(1, round(count * fraction))
        assert held < count
    again = stratified_split(labels, fraction, seed)
    assert np.array_equal(again[0], train)
    assert np.array_equal(again[1], validation)
