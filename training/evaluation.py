"""Judges a bundle with exactly the code that serves it: its ONNX encoder and its UBJ head."""

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from models.bundle import Bundle, load_bundle
from models.encoder import Encoder
from models.head import Head, calibrate
from models.observation import EXPRESSIONS
from training.config import Source
from training.datasets.faces import Faces
from training.datasets.sources import load
from training.datasets.split import known_elsewhere
from training.errors import DataError
from training.features import encode
from training.frames import evaluate_frames_report
from training.metrics import report
from training.preparation import read_split
from training.progress import Progress

__all__ = ["Judged", "evaluate", "evaluate_faces", "guess_format", "judge"]

FRAMES: Final = "frames"
SUFFIXES: Final = {".npz": "ferplus", ".csv": "csv", ".jsonl": "feedback"}
LUMA: Final = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class Judged:
    """What a bundle says about some faces.

    Attributes:
        faces: the faces.
        uncalibrated: float64 [n, classes], as the trees give them.
        probabilities: float64 [n, classes], calibrated.
    """

    faces: Faces
    uncalibrated: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write labels, probabilities and what sub-groups need, without any picture."""
        brightness = (self.faces.images.mean((1, 2)) @ LUMA).astype(np.float32)
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            np.savez_compressed(
                file,
                labels=self.faces.labels,
                probabilities=self.probabilities,
                uncalibrated=self.uncalibrated,
                names=np.array(self.faces.names),
                widths=self.faces.widths,
                brightness=brightness,
            )
        part.replace(path)


def evaluate(
    bundle: Path,
    data: Path,
    *,
    kind: str | None = None,
    classes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the metrics of a bundle's calibrated probabilities on a test split.

    For FER+ they are given once more without the faces that also stand, pixel for pixel, in its
    training split. For whole photographs see `training.frames`.

    Args:
        bundle: the folder of a version, or one with `ACTIVE`.
        data: the data set.
        kind: one of the formats of `training.datasets`, or `frames`; guessed if unset.
        classes: from class names of the data to one of EXPRESSIONS, or to "" to leave one out.

    Raises:
        BundleError: the bundle is refused.
        DataError: the data cannot be read, or a class is mapped to something else.
    """
    kind = kind or guess_format(data)
    if kind == FRAMES:
        return evaluate_frames_report(bundle, data)
    checked = load_bundle(bundle)
    source = _source(data, kind, classes or {})
    faces = read_split(source, Path(), "test", side=checked.manifest.input_size)
    return evaluate_faces(checked, source, Path(), faces)


def evaluate_faces(bundle: Bundle, source: Source, root: Path, faces: Faces) -> dict[str, Any]:
    """Return the metrics of a bundle on the test faces of a source, as `evaluate` does.

    Raises:
        DataError: FER+'s training split, which tells the duplicates, cannot be read.
    """
    judged = judge(bundle, faces, Progress())
    result = {"bundle": bundle.manifest.version, "split": "test", **_report(judged)}
    if source.format == "ferplus":
        train = load(source, root, "train", side=bundle.manifest.input_size).faces
        known = known_elsewhere(faces, [train])
        rest = np.setdiff1d(np.arange(len(faces)), known)
        result["without_training_duplicates"] = report(
            faces.labels[rest], judged.probabilities[rest], EXPRESSIONS
        )
    return result


def judge(bundle: Bundle, faces: Faces, progress: Progress) -> Judged:
    """Return a bundle's probabilities for aligned faces of its input size."""
    features = encode(Encoder.of(bundle), faces.images, progress)
    raw = Head(bundle).predict_raw(features).astype(np.float64)
    return Judged(faces, raw, calibrate(raw, bundle.calibration.temperature))


def guess_format(data: Path) -> str:
    """Return the format of a data set from its name and, for a tar file, its table of contents.

    Raises:
        DataError: there is nothing, or nothing known.
    """
    if data.is_dir():
        return "folder"
    if known := SUFFIXES.get(data.suffix):
        return known
    try:
        with tarfile.open(data) as archive:
            for member in archive:
                name = Path(member.name).name
                if name == "faces.csv":
                    return FRAMES
                if name.endswith("_labels.csv"):
                    return "rafdb"
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"cannot read the data set {data}: {error}") from error
    raise DataError(f"{data} is no known data set; give its kind with --format")


def _source(data: Path, kind: str, classes: Mapping[str, str]) -> Source:
    fields = {"name": data.stem, "format": kind, "path": str(data), "classes": classes}
    try:
        return Source.model_validate(fields)
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise DataError(f"{data}: {place} is {wrong['input']!r}. {wrong['msg']}") from error


def _report(judged: Judged) -> dict[str, Any]:
    return report(judged.faces.labels, judged.probabilities, EXPRESSIONS)
