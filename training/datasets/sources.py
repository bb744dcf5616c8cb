"""From the samples of any data set to faces with our classes; what does not fit is listed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.errors import ContentError
from models.observation import EXPRESSIONS
from models.options import Limits
from models.pictures import decode_picture
from training.config import Source
from training.datasets import drawn, feedback, ferplus, folder, rafdb, table
from training.datasets.faces import Faces, Format, Sample, Split
from training.errors import DataError

__all__ = ["FORMATS", "Loaded", "load", "resized"]

FORMATS: Final[Mapping[str, Format]] = {
    "rafdb": rafdb,
    "ferplus": ferplus,
    "folder": folder,
    "csv": table,
    "feedback": feedback,
    "drawn": drawn,
}


@dataclass(frozen=True)
class Loaded:
    """One split of one source.

    Attributes:
        faces: what could be read.
        classes: for each class name of the source, how many samples had it and what it became.
        broken: the names of unreadable pictures and why.
        left_out: how many samples belong to classes that are left out on purpose.
    """

    faces: Faces
    classes: dict[str, tuple[int, str | None]]
    broken: dict[str, str]
    left_out: int


def load(source: Source, root: Path, split: Split, *, side: int) -> Loaded:
    """Read one split of a source, resized to `side` pixels.

    Labels with several opinions become their shares among our classes; they are left out when at
    least half of the weight lies on classes that we have not.

    Raises:
        DataError: the data set cannot be read, or has labels that nothing maps.
    """
    path = root / source.path
    reader = FORMATS[source.format]
    if reader is not drawn and not path.exists():
        raise DataError(
            f"there is no {path}: --data (or SENTISTREAM_DATA) has to be the folder that "
            f"{source.path} is in"
        )
    mapping = {**reader.CLASSES, **{k: v or None for k, v in source.classes.items()}}
    images: list[NDArray[np.uint8]] = []
    targets: list[NDArray[np.float32]] = []
    names: list[str] = []
    widths: list[int] = []
    found: Counter[str] = Counter()
    broken: dict[str, str] = {}
    left_out = 0
    for sample in reader.samples(path, split):
        if not sample.label:
            broken[sample.name] = "it has no label"
            continue
        votes = {sample.label: 1.0} if isinstance(sample.label, str) else sample.label
        found[max(votes, key=votes.__getitem__)] += 1
        unknown = sorted(votes.keys() - mapping.keys())
        if unknown:
            raise DataError(
                f"{path}: {sample.name} has the label {unknown[0]!r}. Known are "
                f"{', '.join(sorted(mapping)) or 'none'}; map it in [data.sources.classes] or "
                f"with --class, to one of {', '.join(EXPRESSIONS)}, or to nothing to leave it out."
            )
        target = _target(votes, mapping)
        if target is None:
            left_out += 1
            continue
        try:
            picture = _pixels(sample)
        except ContentError as error:
            broken[sample.name] = str(error)
            continue
        images.append(resized(picture, side))
        targets.append(target)
        names.append(sample.name)
        widths.append(picture.width)
    faces = Faces(
        np.stack(images) if images else np.empty((0, side, side, 3), np.uint8),
        np.stack(targets) if targets else np.empty((0, len(EXPRESSIONS)), np.float32),
        tuple(names),
        np.array(widths, np.int64),
    )
    classes = {name: (found[name], mapping[name]) for name in sorted(found)}
    return Loaded(faces, classes, broken, left_out)


def _target(
    votes: Mapping[str, float], mapping: Mapping[str, str | None]
) -> NDArray[np.float32] | None:
    target = np.zeros(len(EXPRESSIONS), np.float32)
    for name, share in votes.items():
        if (ours := mapping[name]) is not None:
            target[EXPRESSIONS.index(ours)] += share
    known = float(target.sum())
    return target / known if known > 0.5 * sum(votes.values()) else None


def _pixels(sample: Sample) -> Image.Image:
    if sample.picture is None:
        raise ContentError("broken_image", "the data set names the picture and does not hold it")
    if isinstance(sample.picture, bytes):
        return decode_picture(sample.picture, Limits()).image
    return Image.fromarray(sample.picture).convert("RGB")


def resized(picture: Image.Image, side: int) -> NDArray[np.uint8]:
    """Return a picture as a square, uint8 RGB [side, side, 3]."""
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR), dtype=np.uint8)
