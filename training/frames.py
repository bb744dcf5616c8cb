"""Judges a bundle on whole photos: what the detector finds, and what its alignment is worth.

Labels of expressions in such photos are too noisy for a score; they only tell which of two crops
of the same faces is the better one. Whoever chooses by them uses the photos of one half, and
reports the figures of the other.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.alignment import align_face
from models.bundle import Bundle, load_bundle
from models.detector import Detection, Detector
from models.encoder import Encoder
from models.head import Head
from models.observation import EXPRESSIONS
from models.options import DetectorOptions
from models.pictures import Picture
from training.datasets.expw_frames import LabelledFace, Photo, read
from training.metrics import report
from training.overlap import iou, match
from training.progress import Progress

__all__ = [
    "LEAST_IOU",
    "Crop",
    "FacePixels",
    "Part",
    "SeenFace",
    "SeenPhoto",
    "agreement",
    "boxed",
    "detection_report",
    "evaluate_frames",
    "evaluate_frames_report",
    "half",
    "look",
    "predictions",
    "see",
]

Part = Literal["all", "choose", "report"]
Box = tuple[float, float, float, float]

# The boxes of the data are squares of another habit than the detector's upright rectangles; 0.4
# still asks for the same face.
LEAST_IOU: Final = 0.4
WIDTHS_PX: Final = {"<32": (0, 32), "32-64": (32, 64), "64-128": (64, 128), ">=128": (128, 1 << 30)}
DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class FacePixels:
    """Where one matched face stands in a decoded picture.

    Attributes:
        image: RGB.
        box: the labelled box in pixels of `image`.
        landmarks: the detector's, shape (5, 2), in pixels of `image`.
    """

    image: Image.Image
    box: Box
    landmarks: NDArray[np.float32]


# Cuts one face out: uint8 RGB [size, size, 3].
Crop = Callable[[FacePixels], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class SeenFace:
    """A labelled face, and what was made of it.

    Attributes:
        face: the label.
        best_iou: with the detection that overlaps it most, 0 to 1.
        iou: with the detection that it was matched to; None if it was missed.
        crops: of a matched face by the name of the way to cut, uint8 [size, size, 3].
    """

    face: LabelledFace
    best_iou: float
    iou: float | None
    crops: Mapping[str, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class SeenPhoto:
    """A photo's name, its labelled faces, and how many detections it has in all."""

    name: str
    faces: tuple[SeenFace, ...]
    n_detections: int


def evaluate_frames(bundle: Path, data: Path, *, part: Part = "all") -> dict[str, Any]:
    """Return what detector and alignment achieve on the photos of one part.

    Args:
        bundle: the folder of a version, or one with `ACTIVE`.
        data: the tar file of `training.datasets.expw_frames`.
        part: "choose" and "report" are halves by the hash of a photo's name.

    Returns:
        JSON-ready values: those of `detection_report`, `agreement` with the noisy labels of
        aligned crops and of plain boxes over the same matched faces, and the `settings`.

    Raises:
        AssetError: the detector's weights are not to be had.
        BundleError: the bundle is refused.
        DataError: the data cannot be read.
    """
    photos = [photo for photo in read(data) if part in ("all", half(photo.name))]
    checked = load_bundle(bundle)
    return {"part": part, **_judge(checked, see(checked, photos)), "settings": _settings(checked)}


def evaluate_frames_report(bundle: Path, data: Path) -> dict[str, Any]:
    """Return what a bundle's evaluation prints, from one pass over all photos.

    Returns:
        JSON-ready values: `bundle` (its version), `data`, `report` (as `evaluate_frames` for that
        half) and `detection` (`detection_report` of all photos).

    Raises:
        AssetError: the detector's weights are not to be had.
        BundleError: the bundle is refused.
        DataError: the data cannot be read.
    """
    checked = load_bundle(bundle)
    seen = see(checked, read(data))
    held_out = [photo for photo in seen if half(photo.name) == "report"]
    return {
        "bundle": checked.manifest.version,
        "data": "frames",
        "report": {"part": "report", **_judge(checked, held_out), "settings": _settings(checked)},
        "detection": detection_report(seen),
    }


def half(name: str) -> Literal["choose", "report"]:
    """Return the half that a photo belongs to, for ever, by the hash of its name."""
    return "report" if hashlib.sha256(name.encode()).digest()[0] % 2 else "choose"


def look(
    photo: Photo, picture: Picture, found: Sequence[Detection], crops: Mapping[str, Crop]
) -> SeenPhoto:
    """Match a photo's labelled faces with detections, and cut out those that were found.

    Args:
        photo: the labels.
        picture: the decoded photo.
        found: the detections in `picture`.
        crops: the ways to cut a face out.
    """
    labelled = np.array([face.box for face in photo.faces]) / picture.scale
    overlap = iou(labelled, np.array([face.box for face in found]))
    pairs = match(overlap, LEAST_IOU)
    faces = []
    for row, face in enumerate(photo.faces):
        best = float(overlap[row].max(initial=0))
        if row not in pairs:
            faces.append(SeenFace(face, best, None, {}))
            continue
        left, top, right, bottom = labelled[row].tolist()
        pixels = FacePixels(picture.image, (left, top, right, bottom), found[pairs[row]].landmarks)
        cut = {name: crop(pixels) for name, crop in crops.items()}
        faces.append(SeenFace(face, best, float(overlap[row, pairs[row]]), cut))
    return SeenPhoto(photo.name, tuple(faces), len(found))


def boxed(face: FacePixels, size: int, margin: float = 0.0) -> NDArray[np.uint8]:
    """Return the labelled box, widened on each side by a share of it, as [size, size, 3]."""
    left, top, right, bottom = face.box
    x, y = margin * (right - left), margin * (bottom - top)
    crop = face.image.crop((round(left - x), round(top - y), round(right + x), round(bottom + y)))
    return np.asarray(crop.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=2.0))


def detection_report(photos: Sequence[SeenPhoto]) -> dict[str, Any]:
    """Return counts and shares of found faces, JSON-ready.

    `recall` is the share of labelled faces that are matched at `least_iou`; `recall_by_width`
    groups them by the width of their box in pixels of the photo. `n_unlabelled` counts detections
    without a label, most of which are faces.
    """
    faces = [face for photo in photos for face in photo.faces]
    matched = [face.iou for face in faces if face.iou is not None]
    detections = sum(photo.n_detections for photo in photos)
    by_width = {}
    for name, (least, under) in WIDTHS_PX.items():
        hits = [face.iou is not None for face in faces if least <= face.face.width < under]
        by_width[name] = {"n": len(hits), "recall": _share(hits)}
    return {
        "n_photos": len(photos),
        "n_faces": len(faces),
        "least_iou": LEAST_IOU,
        "recall": _share([face.iou is not None for face in faces]),
        "mean_iou": round(float(np.mean(matched)), DIGITS) if matched else None,
        "recall_by_width": by_width,
        "n_detections": detections,
        "n_unlabelled": detections - len(matched),
    }


def agreement(bundle: Bundle, faces: Sequence[SeenFace]) -> dict[str, Any]:
    """Return how often the bundle says what the noisy labels say, by way of cutting.

    Args:
        bundle: encoder, head and calibration.
        faces: matched ones, each cut in the same ways.

    Returns:
        `n` faces and, for each way, `accuracy` and `balanced_accuracy`, all over the same faces.
        Without a face there is only `n`.
    """
    labels, ways = predictions(bundle, faces)
    result: dict[str, Any] = {"n": len(faces)}
    for name, probabilities in ways.items():
        found = report(labels, probabilities, EXPRESSIONS)
        result[name] = {key: found[key] for key in ("accuracy", "balanced_accuracy")}
    return result


def predictions(
    bundle: Bundle, faces: Sequence[SeenFace]
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Return the noisy labels [n] of matched faces, and probabilities [n, 7] by way of cutting."""
    encoder, head = Encoder.of(bundle), Head(bundle)
    labels = np.array([EXPRESSIONS.index(face.face.emotion) for face in faces], np.int64)
    return labels, {
        name: head.predict(encoder.encode(np.stack([face.crops[name] for face in faces])))
        for name in (faces[0].crops if faces else ())
    }


def see(bundle: Bundle, photos: Sequence[Photo]) -> list[SeenPhoto]:
    """Return what detector and alignment make of photos; faces are cut `aligned` and as a `box`.

    Raises:
        AssetError: the detector's weights are not to be had.
        DataError: a photo is broken.
    """
    size, landmarks = bundle.manifest.input_size, bundle.manifest.preprocessing.landmarks
    crops: dict[str, Crop] = {
        "aligned": lambda face: align_face(face.image, face.landmarks, landmarks, size),
        "box": lambda face: boxed(face, size),
    }
    detector, progress, seen = Detector(DetectorOptions()), Progress(), []
    progress.start("photos", total=len(photos))
    for photo in photos:
        picture = photo.decode()
        seen.append(look(photo, picture, detector.detect([picture])[0], crops))
        progress.advance()
    progress.finish()
    return seen


def _judge(bundle: Bundle, seen: Sequence[SeenPhoto]) -> dict[str, Any]:
    matched = [face for photo in seen for face in photo.faces if face.iou is not None]
    return {**detection_report(seen), "noisy_label_agreement": agreement(bundle, matched)}


def _settings(bundle: Bundle) -> dict[str, Any]:
    return {
        "detector": DetectorOptions().model_dump(),
        "crop_size": bundle.manifest.input_size,
        "landmarks": bundle.manifest.preprocessing.landmarks,
        "box_margin": 0.0,
    }


def _share(hits: Sequence[bool]) -> float | None:
    return round(sum(hits) / len(hits), DIGITS) if hits else None
