"""Whole photos with boxed faces and their expressions, from one tar file.

The tar holds pictures in `images/` and `faces.csv`: `image`, `left`, `top`, `right`, `bottom` in
pixels of the photo, and `emotion`, one of our classes. Such photos come from ExpW: Zhang, Luo, Loy
and Tang, "From Facial Expression Recognition to Interpersonal Relation Prediction", IJCV 2018, for
non-commercial research only; they are read where the user keeps them and are never copied.

They were found by searching for words such as "angry", and not every face of a photo is labelled.
So an expression is a hint at best, and a detection without a label is no mistake.
"""

import csv
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.errors import ContentError
from models.observation import EXPRESSIONS
from models.options import Limits
from models.pictures import Picture, decode_picture
from training.errors import DataError

__all__ = ["LabelledFace", "Photo", "read"]

TABLE: Final = "faces.csv"
FOLDER: Final = "images/"
SIDES: Final = ("left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True)
class LabelledFace:
    """One face that somebody boxed.

    Attributes:
        box: left, top, right, bottom in pixels of the photo; may stick out at the edges.
        emotion: one of `EXPRESSIONS`, often wrong.
    """

    box: tuple[int, int, int, int]
    emotion: str

    @property
    def width(self) -> int:
        """Width of the box in pixels of the photo."""
        return self.box[2] - self.box[0]


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo as the tar holds it.

    Attributes:
        name: of its file.
        content: the encoded picture.
        faces: those that are labelled, at least one.
    """

    name: str
    content: bytes
    faces: tuple[LabelledFace, ...]

    def decode(self) -> Picture:
        """Return the picture as the scorer would see it.

        Raises:
            DataError: it is broken, or a labelled face lies outside of it.
        """
        try:
            picture = decode_picture(self.content, Limits())
        except ContentError as error:
            raise DataError(f"the photo {self.name} cannot be used: {error}") from error
        width, height = (round(side * picture.scale) for side in picture.image.size)
        for face in self.faces:
            left, top, right, bottom = face.box
            if right <= 0 or bottom <= 0 or left >= width or top >= height:
                raise DataError(
                    f"the photo {self.name} has {width}x{height} pixels; "
                    f"the box {face.box} of a face lies outside"
                )
        return picture


def read(path: Path) -> list[Photo]:
    """Return all photos that have a labelled face, in the order of `faces.csv`.

    Raises:
        DataError: the tar, its table or a photo that the table names is missing, or a row does not
            hold a box with an area and a known expression.
    """
    content: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                wanted = member.name == TABLE or member.name.startswith(FOLDER)
                if wanted and (file := archive.extractfile(member)):
                    content[member.name] = file.read()
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path} cannot be read as a tar file of photos: {error}") from error
    if TABLE not in content:
        raise DataError(f"{path} does not hold {TABLE}")
    faces: dict[str, list[LabelledFace]] = {}
    rows = csv.DictReader(io.StringIO(content[TABLE].decode("utf-8", "replace")))
    for line, row in enumerate(rows, start=2):  # the header is line 1
        try:
            name, face = row["image"], _face(row)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: {TABLE}, line {line}: {_reason(error)}") from error
        faces.setdefault(name, []).append(face)
    if not faces:
        raise DataError(f"{path}: {TABLE} names no face")
    if missing := sorted(name for name in faces if FOLDER + name not in content):
        raise DataError(
            f"{path}: {TABLE} names {len(missing)} photos that are not in {FOLDER}, "
            f"such as {missing[0]}"
        )
    return [Photo(name, content[FOLDER + name], tuple(found)) for name, found in faces.items()]


def _face(row: dict[str, str]) -> LabelledFace:
    left, top, right, bottom = (int(row[side]) for side in SIDES)
    if left >= right or top >= bottom:
        raise ValueError(f"the box {(left, top, right, bottom)} has no area")
    if row["emotion"] not in EXPRESSIONS:
        raise ValueError(f"{row['emotion']!r} is not one of {', '.join(EXPRESSIONS)}")
    return LabelledFace((left, top, right, bottom), row["emotion"])


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no column {error}"
    return "it is too short" if isinstance(error, TypeError) else str(error)
