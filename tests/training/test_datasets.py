"""Every way of keeping labelled faces gives the same thing: faces with our classes."""

import base64
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_rafdb import jpeg, write_tar

from models.observation import EXPRESSIONS
from training.config import Source
from training.datasets.faces import Faces
from training.datasets.feedback import corrections
from training.datasets.sources import FORMATS, Loaded, load
from training.errors import DataError

SIDE = 32


def read(kind: str, path: Path, split: Any = "train", **classes: str) -> Loaded:
    source = Source.model_validate(
        {"name": "x", "format": kind, "path": path.name, "classes": classes}
    )
    return load(source, path.parent, split, side=SIDE)


def make_rafdb(folder: Path) -> Path:
    write_tar(folder / "tiny.tar", {"train": 2, "test": 1})
    return folder / "tiny.tar"


def make_ferplus(folder: Path) -> Path:
    names = [f"fer{index:07}.png" for index in range(21)]
    images = np.random.default_rng(0).integers(0, 255, (21, 48, 48), dtype=np.uint8)
    np.savez(folder / "fer.npz", images=images, names=np.array(names))
    columns = [*EXPRESSIONS, "contempt", "unknown", "NF"]
    with (folder / "fer_labels.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["image", "usage", *columns])
        table.writeheader()
        for index, name in enumerate(names):
            usage = "Training" if index < 14 else "PrivateTest"
            votes = dict.fromkeys(columns, 0) | {EXPRESSIONS[index % 7]: 8, "NF": 2}
            table.writerow({"image": name, "usage": usage, **votes})
    return folder / "fer.npz"


def make_folder(folder: Path) -> Path:
    root = folder / "pictures"
    for split, count in (("train", 2), ("test", 1)):
        for label, name in enumerate(EXPRESSIONS):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                (root / split / name / f"{number}.jpg").write_bytes(jpeg(label, number))
    (root / "train" / "fear" / ".hidden").write_text("passed over")
    return root


def make_table(folder: Path) -> Path:
    lines = ["image,label,split"]
    for split, count in (("train", 2), ("test", 1)):
        for label, name in enumerate(EXPRESSIONS):
            for number in range(count):
                file = f"{split}-{name}-{number}.jpg"
                (folder / file).write_bytes(jpeg(label, number))
                lines.append(f"{file},{name},{split}")
    (folder / "table.csv").write_text("\n".join(lines))
    return folder / "table.csv"


def correction(label: str, number: int, picture: bytes | None) -> dict[str, object]:
    return {
        "id": f"{label}-{number}",
        "face": 0,
        "time": "2026-01-01T00:00:00Z",
        "bundle": "face/1.0.0",
        "predicted": "neutral",
        "label": label,
        "features": [0.5, 0.25],
        "picture": base64.b64encode(picture).decode() if picture else None,
    }


def make_feedback(folder: Path) -> Path:
    records = [
        correction(name, number, jpeg(label, number))
        for number in range(2)
        for label, name in enumerate(EXPRESSIONS)
    ]
    path = folder / "feedback.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    return path


MAKERS = {
    "rafdb": make_rafdb,
    "ferplus": make_ferplus,
    "folder": make_folder,
    "csv": make_table,
    "feedback": make_feedback,
    "drawn": lambda folder: folder,
}


def test_every_format_has_a_maker_here() -> None:
    assert MAKERS.keys() == FORMATS.keys()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_faces_with_our_classes(kind: str, tmp_path: Path) -> None:
    loaded = read(kind, MAKERS[kind](tmp_path))
    faces = loaded.faces
    assert faces.images.shape == (len(faces), SIDE, SIDE, 3)
    assert faces.images.dtype == np.uint8
    assert faces.targets.sum(axis=1) == pytest.approx(1)
    assert len(set(faces.names)) == len(faces) == len(faces.widths)
    counts = set(faces.counts.values())
    assert counts == ({40} if kind == "drawn" else {2})
    assert loaded.broken == {}
    assert sum(count for count, _ in loaded.classes.values()) == len(faces)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_keeps_its_splits_apart(kind: str, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path)
    train, test = read(kind, path).faces, read(kind, path, "test").faces
    assert len(test) == {"drawn": 70, "feedback": 0}.get(kind, 7)
    assert not set(train.names) & set(test.names)


@pytest.mark.parametrize("kind", [name for name in FORMATS if name != "drawn"])
def test_every_format_names_what_is_not_there(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent"):
        read(kind, tmp_path / "absent.data")


def test_rafdb_pictures_come_in_the_order_of_the_label_file(tmp_path: Path) -> None:
    write_tar(tmp_path / "tiny.tar", {"train": 12})
    faces = read("rafdb", tmp_path / "tiny.tar").faces
    assert faces.labels.tolist() == [index % 7 for index in range(84)]
    for image, label in zip(faces.images, faces.labels, strict=True):
        rows = image.mean(axis=(1, 2)) / SIDE * 100
        assert rows.argmax() * 100 / SIDE // 10 == pytest.approx(label + 1, abs=1)


@pytest.mark.parametrize("kind", sorted(set(FORMATS) - {"drawn"}))
def test_of_data_that_are_not_there_the_folder_is_asked_for(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match=r"there is no .*nothing.*--data .*SENTISTREAM_DATA"):
        read(kind, tmp_path / "nothing")


def test_missing_and_broken_pictures_are_listed_and_not_fatal(tmp_path: Path) -> None:
    path = make_table(tmp_path)
    (tmp_path / "train-fear-0.jpg").unlink()
    (tmp_path / "train-anger-1.jpg").write_bytes(b"no picture")
    (tmp_path / "train-sadness-0.jpg").write_bytes(jpeg(1, 1)[:300])
    loaded = read("csv", path)
    assert set(loaded.broken) == {"train-fear-0.jpg", "train-anger-1.jpg", "train-sadness-0.jpg"}
    assert "does not hold it" in loaded.broken["train-fear-0.jpg"]
    assert len(loaded.faces) == 11
    rafdb = tmp_path / "bad.tar"
    write_tar(rafdb, {"train": 1}, leave_out="train_00003_aligned.jpg")
    assert set(read("rafdb", rafdb).broken) == {"train_00003_aligned.jpg"}


def test_a_label_outside_the_list_says_how_to_map_it(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    path.write_text("image,label\na.png,joy\n")
    with pytest.raises(
        DataError, match=r"a\.png has the label 'joy'.*data\.sources\.classes.*--class"
    ):
        read("csv", path)
    mapped = read("csv", path, joy="happiness")
    assert mapped.faces.counts["happiness"] == 1
    assert mapped.classes == {"joy": (1, "happiness")}
    assert read("csv", path, joy="").left_out == 1


def test_a_row_that_is_cut_short_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    path.write_text("label,split,image\nfear,train,a.png\nfear\n")
    loaded = read("csv", path)
    assert len(loaded.faces) == 1
    assert set(loaded.broken) == {""}


def test_a_row_without_a_label_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("image,label\na.png,\n")
    assert read("csv", path).broken == {"a.png": "it has no label"}


@pytest.mark.parametrize(
    ("text", "said"),
    [("picture,label\n", "no column image"), ("image,label,split\na,b,dev\n", "split is 'dev'")],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read("csv", tmp_path / "own.csv")


def test_folders_without_splits_are_training_data(tmp_path: Path) -> None:
    (tmp_path / "mine" / "fear").mkdir(parents=True)
    (tmp_path / "mine" / "fear" / "a.jpg").write_bytes(jpeg(1, 1))
    assert len(read("folder", tmp_path / "mine").faces) == 1
    assert len(read("folder", tmp_path / "mine", "test").faces) == 0


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        read("folder", tmp_path / "mine")


def test_votes_become_shares_and_a_majority_elsewhere_leaves_the_face_out(tmp_path: Path) -> None:
    path = make_ferplus(tmp_path)
    table = tmp_path / "fer_labels.csv"
    rows = table.read_text().splitlines()
    rows[1] = "fer0000000.png,Training,0,0,0,6,0,2,0,1,1,0"  # six happiness, two anger
    rows[2] = "fer0000001.png,Training,0,4,0,0,0,0,0,6,0,0"  # six contempt, which we have not
    table.write_text("\n".join(rows))
    loaded = read("ferplus", path)
    assert loaded.left_out == 1
    first = dict(zip(EXPRESSIONS, loaded.faces.targets[0], strict=True))
    assert first["happiness"] == pytest.approx(0.75)
    assert first["anger"] == pytest.approx(0.25)


def test_feedback_without_a_picture_is_listed_and_keeps_its_features(tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    path.write_text(json.dumps(correction("fear", 1, None)) + "\n\n")
    assert set(read("feedback", path).broken) == {"fear-1#0"}
    assert [entry.features for entry in corrections(path)] == [(0.5, 0.25)]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"face": -1}, "face: "), ({"bundle": "text/1"}, "bundle: "), ({"extra": 1}, "extra: ")],
)
def test_wrong_feedback_names_line_and_field(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = tmp_path / "feedback.jsonl"
    good = correction("fear", 1, None)
    path.write_text(json.dumps(good) + "\n" + json.dumps(good | change))
    with pytest.raises(DataError, match=rf"line 2: {said}"):
        list(corrections(path))


def test_drawn_faces_are_the_same_every_time() -> None:
    first, second = (read("drawn", Path("x")).faces for _ in range(2))
    assert np.array_equal(first.images, second.images)


def test_faces_are_joined_in_order() -> None:
    part = read("drawn", Path("x"), "test").faces
    both = Faces.join([part.take(np.array([3, 1])), part.take(np.array([2]))])
    assert both.names == (part.names[3], part.names[1], part.names[2])
    assert np.array_equal(both.images[2], part.images[2])
