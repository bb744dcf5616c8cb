"""RAF-DB: aligned faces with one of seven expressions, read from one tar file.

Li, Deng and Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression
Recognition in the Wild", CVPR 2017. The data may be used for non-commercial research only; it is
read where the user keeps it and is never copied.
"""

import csv
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.observation import EXPRESSIONS
from training.errors import DataError

__all__ = ["NAME", "TERMS", "Faces", "read", "sha256", "stratified_split"]

NAME = "RAF-DB (single-label subset, aligned)"
TERMS = "non-commercial research only (terms of the RAF-DB authors)"
Split = Literal["train", "test"]


@dataclass(frozen=True)
class Faces:
    """Aligned faces: `images` uint8 [n, side, side, 3] RGB, `labels` int64 [n] (EXPRESSIONS)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> "Faces":
        """Return the faces in the given rows, in that order."""
        return Faces(self.images[rows], self.labels[rows])


def sha256(path: Path) -> str:
    """Return the hash of the data file, as hexadecimal digits.

    Raises:
        DataError: there is no such file.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read the data set {path}: {error}") from error


def read(path: Path, split: Split, *, side: int) -> Faces:
    """Read one split, in the order of its label file, resized to `side` pixels.

    The label file `{split}_labels.csv` gives 1 surprise, 2 fear, 3 disgust, 4 happiness,
    5 sadness, 6 anger, 7 neutral: the order of `EXPRESSIONS`, counted from one.

    Raises:
        DataError: the file is missing, or does not hold what a RAF-DB tar holds.
    """
    try:
        with tarfile.open(path) as archive:
            pictures = {
                Path(member.name).name: archive.extractfile(member)
                for member in archive
                if member.isfile() and member.name.startswith((f"{split}/", f"{split}_labels"))
            }
            table = _content(pictures, f"{split}_labels.csv", path).decode()
            rows = list(csv.DictReader(io.StringIO(table)))
            images = np.empty((len(rows), side, side, 3), np.uint8)
            labels = np.empty(len(rows), np.int64)
            for index, row in enumerate(rows):
                images[index] = _decode(_content(pictures, row["image"], path), side)
                labels[index] = int(row["label"]) - 1
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise DataError(f"{path} does not hold RAF-DB's {split} split: {error!r}") from error
    if len(rows) == 0 or labels.min() < 0 or labels.max() >= len(EXPRESSIONS):
        raise DataError(f"{path}: {split}_labels.csv is empty or has labels outside 1…7")
    return Faces(images, labels)


def stratified_split(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows into (train, validation), with the same share of every class in validation.

    Both results are sorted int64 row numbers; at least one row of each class is held out.
    """
    rng = np.random.default_rng(seed)
    held: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held.append(rows[: max(1, round(len(rows) * fraction))])
    validation = np.sort(np.concatenate(held))
    train = np.setdiff1d(np.arange(len(labels)), validation)
    return train, validation


def _content(pictures: Mapping[str, IO[bytes] | None], name: str, path: Path) -> bytes:
    file = pictures.get(name)
    if file is None:
        raise DataError(f"{path} has no file {name}")
    return file.read()


def _decode(content: bytes, side: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as picture:
        resized = picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8)
