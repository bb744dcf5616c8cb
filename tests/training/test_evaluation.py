"""A bundle is judged on the test split of whatever data set it is given."""

import csv
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from tiny_rafdb import jpeg, write_tar

from models.bundle import load_bundle
from models.observation import EXPRESSIONS
from training.config import Source
from training.datasets.drawn import samples
from training.errors import DataError
from training.evaluation import evaluate, guess_format, judge
from training.preparation import read_split
from training.progress import Progress

BUNDLE = Path(__file__).parents[2] / "models/face"
COLUMNS = [*EXPRESSIONS, "contempt", "unknown", "NF"]


def write_ferplus(path: Path, usages: list[str], twins: int) -> None:
    """Write faces, of which the last ones are the first ones again."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (len(usages), 48, 48), dtype=np.uint8)
    images[len(usages) - twins :] = images[:twins]
    names = [f"{index}.png" for index in range(len(usages))]
    np.savez(path, images=images, names=np.array(names))
    with path.with_name(f"{path.stem}_labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "usage", *COLUMNS])
        for index, (name, usage) in enumerate(zip(names, usages, strict=True)):
            table.writerow([name, usage, *(10 * (at == index % 7) for at in range(10))])


def test_the_form_of_a_data_set_is_recognised(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"train": 1, "test": 1})
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("photos/faces.csv"))
    assert guess_format(tmp_path / "a.tar") == "rafdb"
    assert guess_format(tmp_path / "b.tar") == "frames"
    assert guess_format(tmp_path) == "folder"
    assert guess_format(Path("x.npz")) == "ferplus"
    assert guess_format(Path("x.csv")) == "csv"
    with pytest.raises(DataError, match="absent"):
        guess_format(tmp_path / "absent.tar")
    with tarfile.open(tmp_path / "c.tar", "w"):
        pass
    with pytest.raises(DataError, match="--format"):
        guess_format(tmp_path / "c.tar")


def test_duplicates_of_training_faces_are_left_out_of_a_second_figure(tmp_path: Path) -> None:
    path = tmp_path / "fer.npz"
    write_ferplus(path, ["Training"] * 14 + ["PrivateTest"] * 14, twins=5)
    found = evaluate(BUNDLE, path)
    assert found["split"] == "test"
    assert found["n"] == 14
    assert found["without_training_duplicates"]["n"] == 9
    assert json.loads(json.dumps(found)) == found


def test_own_class_names_are_mapped(tmp_path: Path) -> None:
    for number, (name, label) in enumerate([("joy", 3), ("joy", 3), ("bored", 6), ("fear", 1)]):
        folder = tmp_path / "own" / "test" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(jpeg(label, number))
    with pytest.raises(DataError, match="has the label 'bored'"):
        evaluate(BUNDLE, tmp_path / "own")
    found = evaluate(BUNDLE, tmp_path / "own", classes={"joy": "happiness", "bored": ""})
    assert found["n"] == 3
    with pytest.raises(DataError, match=r"classes\.joy is 'glee'.*'happiness'"):
        evaluate(BUNDLE, tmp_path / "own", classes={"joy": "glee"})


def test_a_data_set_without_a_test_split_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("image,label\n")
    with pytest.raises(DataError, match=r"own\.csv has no readable picture in its test split"):
        evaluate(BUNDLE, tmp_path / "own.csv")


def test_what_is_kept_of_the_judged_faces_holds_no_picture(tmp_path: Path) -> None:
    bundle = load_bundle(BUNDLE)
    source = Source(name="drawn", format="drawn")
    faces = read_split(source, Path(), "test", side=bundle.manifest.input_size)
    faces = faces.take(np.arange(8))
    judge(bundle, faces, Progress()).save(tmp_path / "kept.npz")
    with np.load(tmp_path / "kept.npz", allow_pickle=False) as kept:
        assert set(kept) == {
            *("labels", "probabilities", "uncalibrated", "names", "widths", "brightness")
        }
        assert kept["probabilities"].shape == (8, 7)
        assert kept["probabilities"].sum(1) == pytest.approx(1)
        assert kept["names"].tolist() == [s.name for s in list(samples(Path(), "test"))[:8]]
        assert kept["brightness"] == pytest.approx(
            (faces.images @ [0.299, 0.587, 0.114]).mean((1, 2)), abs=0.01
        )
    assert (tmp_path / "kept.npz").stat().st_size < faces.images.nbytes / 10
