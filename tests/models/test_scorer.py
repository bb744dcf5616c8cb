from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.bundle import Bundle
from models.detector import Detector
from models.encoder import Encoder
from models.errors import ContentError
from models.head import Head, calibrate
from models.observation import EXPRESSIONS
from models.options import DetectorOptions, Limits
from models.pictures import Picture, decode_picture
from models.prediction import prediction
from models.scorer import Content, Scored, Scorer
from models.wheels import fetch

EDGE = ((0.0, 0.0, 0.0, 0.9, 0.0, 0.1, 0.0),)


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def test_five_faces_are_found_in_the_group_photo(scorer: Scorer, group: bytes) -> None:
    (result,) = scorer.score([Content(image=group)])
    assert isinstance(result, Scored)
    assert len(result.faces) == 5
    # Four of the five smile, and nobody could miss it.
    assert sum(face.observation.expression == "happiness" for face in result.faces) >= 3


@pytest.mark.parametrize("name", ["surprise", "happiness"])
def test_posed_expressions_are_read(scorer: Scorer, name: str) -> None:
    (result,) = scorer.score([Content(image=fetch(f"posed_{name}").read_bytes())])
    assert isinstance(result, Scored)
    assert [face.observation.expression for face in result.faces] == [name]


def test_a_mixed_batch_is_answered_in_order_and_one_by_one_alike(
    scorer: Scorer, group: bytes
) -> None:
    blank = io.BytesIO()
    Image.new("RGB", (300, 200)).save(blank, "PNG")
    contents = [
        Content(image=group),
        Content(image=b"broken"),
        Content(text="a text"),
        Content(faces=EDGE),
        Content(image=blank.getvalue()),
        Content(image=fetch("single_face").read_bytes(), text="and a text"),
        Content(image=group),
    ]
    together = scorer.score(contents)
    alone = [result for content in contents for result in scorer.score([content])]
    for one, other in zip(together, alone, strict=True):
        if isinstance(one, ContentError):
            assert isinstance(other, ContentError)
            assert one.reason == other.reason
            continue
        assert isinstance(other, Scored)
        assert [face.box for face in one.faces] == [face.box for face in other.faces]
        for left, right in zip(one.faces, other.faces, strict=True):
            assert left.probabilities == pytest.approx(right.probabilities, abs=1e-4)
    reasons = [r.reason if isinstance(r, ContentError) else len(r.faces) for r in together]
    assert reasons == [5, "broken_image", "no_text_bundle", 1, 0, 1, 5]
    assert scorer.score([]) == []


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_gives_the_same(bundle: Bundle, threads: int, group: bytes) -> None:
    results = Scorer(bundle, threads=threads).score([Content(image=group)] * 10)
    assert [len(result.faces) for result in results if isinstance(result, Scored)] == [5] * 10


def test_boxes_are_in_pixels_of_the_original(scorer: Scorer, group: bytes) -> None:
    """A photo of four times the size is decoded smaller; its boxes are four times as large."""
    image = Image.open(io.BytesIO(group))
    large = io.BytesIO()
    image.resize((image.width * 4, image.height * 4)).save(large, "JPEG")
    small, big = scorer.score([Content(image=group), Content(image=large.getvalue())])
    assert isinstance(small, Scored)
    assert isinstance(big, Scored)
    boxes = [tuple(value / 4 for value in face.box or ()) for face in big.faces]
    for face in small.faces:
        assert max(overlap(face.box or (), box) for box in boxes) > 0.7


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (DetectorOptions(min_face=150), 0),
        (DetectorOptions(max_faces=2), 2),
        (DetectorOptions(score=0.99), 0),
        (DetectorOptions(scale=1), 5),
        (DetectorOptions(max_side=320), 5),
    ],
)
def test_the_options_of_the_detector_hold(
    options: DetectorOptions, count: int, group: bytes
) -> None:
    (found,) = Detector(options).detect([decode_picture(group, Limits())])
    assert len(found) == count
    assert [face.score for face in found] == sorted((f.score for f in found), reverse=True)


@pytest.mark.parametrize("size", [(1, 1), (33, 1), (1, 700), (2000, 3)])
def test_pictures_of_odd_shapes_have_no_face(size: tuple[int, int]) -> None:
    assert Detector(DetectorOptions()).detect([Picture(Image.new("RGB", size), 1.0)]) == [[]]


@pytest.mark.parametrize("count", [0, 1, 3, 8, 13])
def test_batches_of_any_size_are_encoded_alike(bundle: Bundle, count: int) -> None:
    encoder, head = Encoder.of(bundle), Head(bundle)
    side = bundle.manifest.input_size
    crops = np.random.default_rng(1).integers(0, 255, (count, side, side, 3), np.uint8)
    features = encoder.encode(crops)
    assert features.shape == (count, bundle.manifest.feature_count)
    assert features.dtype == np.float32
    for row, crop in zip(features, crops, strict=True):
        np.testing.assert_allclose(row, encoder.encode(crop[None])[0], rtol=1e-3, atol=1e-3)
    probabilities = head.predict(features)
    assert probabilities.shape == (count, 7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)


def test_temperature_moves_confidence_but_not_the_order() -> None:
    raw = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]])
    np.testing.assert_allclose(calibrate(raw, 1.0), raw, atol=1e-9)
    for temperature in (0.5, 2.0):
        changed = calibrate(raw, temperature)
        assert (changed[0].argsort() == raw[0].argsort()).all()
        assert (changed[0].max() > 0.7) == (temperature < 1)


def test_a_prediction_joins_its_faces() -> None:
    row = [0.0] * 7
    happy, angry = row.copy(), row.copy()
    happy[EXPRESSIONS.index("happiness")] = 1.0
    angry[EXPRESSIONS.index("anger")] = 1.0
    results = _score_faces(tuple(happy), tuple(angry), tuple(angry))
    document = prediction("id", results, {"face": "1", "text": None})
    assert document["sentiment"] == "negative"
    assert document["valence"] == pytest.approx(-1 / 3, abs=1e-4)
    assert [face["emotion"] for face in document["faces"]] == ["happiness", "anger", "anger"]
    assert document["models"] == {"face": "1", "text": None}


def _score_faces(*rows: tuple[float, ...]) -> Scored:
    from models.observation import observe_face
    from models.scorer import Face

    return Scored(tuple(Face(None, row, observe_face(row)) for row in rows))


def test_faces_of_ordinary_photos_are_found(scorer: Scorer, data: Path) -> None:
    """Labelled faces of 40 pixels and more; the labels of emotions are not looked at."""
    with tarfile.open(data / "frames.tar") as archive:
        names = [name for name in archive.getnames() if name.endswith(".jpg")][:100]
        member = archive.extractfile("faces.csv")
        assert member is not None
        lines = member.read().decode().splitlines()
        labelled: dict[str, list[tuple[float, ...]]] = {}
        header = lines[0].split(",")
        for line in lines[1:]:
            row = dict(zip(header, line.split(","), strict=True))
            box = tuple(float(row[name]) for name in ("left", "top", "right", "bottom"))
            labelled.setdefault(Path(row["image"]).name, []).append(box)
        found = total = 0
        for name in names:
            file = archive.extractfile(name)
            assert file is not None
            (result,) = scorer.score([Content(image=file.read())])
            assert isinstance(result, Scored)
            for box in (b for b in labelled.get(Path(name).name, []) if b[2] - b[0] >= 40):
                total += 1
                found += any(overlap(box, face.box or ()) > 0.3 for face in result.faces)
    assert total >= 90
    assert found / total >= 0.95
