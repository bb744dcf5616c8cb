"""Judging a bundle on whole photos, with photos whose faces the detector itself has boxed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_frames import PHOTO, write_frames

from models.detector import Detector
from models.options import DetectorOptions, Limits
from models.pictures import decode_picture
from models.wheels import fetch
from training.frames import FacePixels, boxed, evaluate_frames, evaluate_frames_report, half
from training.overlap import iou, match

BUNDLE = Path("models/face")
# Their names put one photo in each half.
GROUP, SINGLE = "party.jpg", "single.jpg"


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Return a tar of two photos, and how many faces the detector has found in the first.

    The first has one label more, in a corner without a face.
    """
    detector = Detector(DetectorOptions())
    photos, rows = {}, []
    for name, asset in ((GROUP, "multi_face"), (SINGLE, "single_face")):
        photos[name] = fetch(asset).read_bytes()
        picture = decode_picture(photos[name], Limits())
        for face in detector.detect([picture])[0]:
            rows.append((name, *(round(side * picture.scale) for side in face.box), "happiness"))
    found = sum(row[0] == GROUP for row in rows)
    rows.append((GROUP, 0, 0, 20, 20, "fear"))
    return write_frames(tmp_path_factory.mktemp("frames") / "f.tar", photos, rows), found


def test_overlap_by_hand() -> None:
    one = np.array([[0, 0, 10, 10]])
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 5, 5], [10, 0, 20, 10]])
    assert iou(one, others).tolist() == [[1, 50 / 150, 25 / 100, 0]]
    assert iou(one, np.empty((0, 4))).shape == (1, 0)


def test_pairs_by_hand_take_the_largest_overlap_first() -> None:
    overlap = np.array([[0.8, 0.7, 0.0], [0.9, 0.2, 0.0], [0.5, 0.0, 0.39]])
    # Row 0 loses its best column to row 1 and takes the next; what is left for row 2 is too little.
    assert match(overlap, 0.4) == {1: 0, 0: 1}
    assert match(overlap, 0.3) == {1: 0, 0: 1, 2: 2}
    assert match(np.empty((3, 0)), 0.4) == {}


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_pairs_are_one_to_one(rows: list[list[float]]) -> None:
    overlap = np.array(rows)
    pairs = match(overlap, 0.4)
    assert len(set(pairs.values())) == len(pairs)
    left = np.delete(np.delete(overlap, list(pairs), axis=0), list(pairs.values()), axis=1)
    assert not (left >= 0.4).any()  # nothing that could still be paired


def test_halves_are_stable_and_about_equal() -> None:
    assert half(GROUP) == "report"
    assert half(SINGLE) == "choose"
    names = [f"photo_{number}.jpg" for number in range(1000)]
    assert 450 < sum(half(name) == "choose" for name in names) < 550


def test_a_margin_widens_the_box_and_is_black_beyond_the_photo() -> None:
    image = Image.new("RGB", (40, 40), "white")
    face = FacePixels(image, (0.0, 0.0, 40.0, 40.0), np.zeros((5, 2), np.float32))
    assert boxed(face, 20).min() == 255
    widened = boxed(face, 20, margin=0.5)
    assert widened.shape == (20, 20, 3)
    assert widened[8:12, 8:12].min() == 255
    assert widened[0].max() == 0


def test_all_faces_but_the_invented_one_are_found(frames: tuple[Path, int]) -> None:
    path, in_group = frames
    found = evaluate_frames(BUNDLE, path)
    assert (found["part"], found["n_photos"], found["n_faces"]) == ("all", 2, in_group + 2)
    assert found["recall"] == pytest.approx((in_group + 1) / (in_group + 2), abs=1e-4)
    assert found["mean_iou"] > 0.95  # boxes were rounded
    assert found["n_detections"] == in_group + 1
    assert found["n_unlabelled"] == 0
    assert found["recall_by_width"]["<32"] == {"n": 1, "recall": 0.0}
    assert sum(group["n"] for group in found["recall_by_width"].values()) == in_group + 2
    agreement = found["noisy_label_agreement"]
    assert agreement["n"] == in_group + 1
    assert agreement.keys() == {"n", "aligned", "box"}
    assert found["settings"]["detector"] == DetectorOptions().model_dump()
    json.dumps(found)


def test_the_halves_part_the_photos(frames: tuple[Path, int]) -> None:
    path, in_group = frames
    choose, report = (evaluate_frames(BUNDLE, path, part=p) for p in ("choose", "report"))
    assert (choose["n_photos"], choose["n_faces"], choose["recall"]) == (1, 1, 1)
    assert (report["n_photos"], report["n_faces"]) == (1, in_group + 1)


def test_the_report_holds_one_half_and_the_detection_of_all(frames: tuple[Path, int]) -> None:
    path, in_group = frames
    found = evaluate_frames_report(BUNDLE, path)
    assert found["data"] == "frames"
    assert found["report"] == evaluate_frames(BUNDLE, path, part="report")
    assert found["detection"]["n_faces"] == in_group + 2
    json.dumps(found)


def test_photos_without_a_face_have_no_agreement(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "f.tar", {SINGLE: PHOTO}, [(SINGLE, 0, 0, 9, 9, "fear")])
    found = evaluate_frames(BUNDLE, path)
    assert (found["recall"], found["mean_iou"]) == (0, None)
    assert found["noisy_label_agreement"] == {"n": 0}
    assert found["recall_by_width"][">=128"] == {"n": 0, "recall": None}


def test_it_runs_without_the_train_extra() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'timm', 'sklearn', 'imblearn'):\n"
        "    sys.modules[name] = None\n"
        "import training.frames, training.frames_study\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
