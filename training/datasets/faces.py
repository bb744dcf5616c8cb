"""Labelled faces in memory, and the samples that they are made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.observation import EXPRESSIONS

__all__ = ["SPLITS", "Faces", "Format", "Sample", "Split"]

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture as a data set holds it.

    Attributes:
        name: what it is called there; messages and lists of mistakes use it.
        picture: an encoded picture, uint8 grey [h, w] or uint8 RGB [h, w, 3]; None when the data
            set names it and does not hold it.
        label: the data set's own name of the class, or shares by class for several opinions.
    """

    name: str
    picture: bytes | NDArray[np.uint8] | None
    label: str | Mapping[str, float]


class Format(Protocol):
    """One way of keeping labelled faces; each module of this folder that reads one fits it."""

    @property
    def TITLE(self) -> str:
        """What the data set is called."""

    @property
    def TERMS(self) -> str:
        """Under which terms it may be used."""

    @property
    def CLASSES(self) -> Mapping[str, str | None]:
        """From its class names to ours; None for those that are left out on purpose."""

    def samples(self, path: Path, split: Split) -> Iterator[Sample]:
        """Give the samples of one split, in a fixed order; nothing where there is no such split.

        Raises:
            DataError: the data set as a whole cannot be read.
        """


@dataclass(frozen=True)
class Faces:
    """Faces of one size, ready to learn from.

    Attributes:
        images: uint8 [n, side, side, 3], RGB.
        targets: float32 [n, 7], probabilities in the order of `EXPRESSIONS`; each row sums to 1.
        names: n names.
        widths: of the pictures before they were resized, int64 [n], pixels.
    """

    images: NDArray[np.uint8]
    targets: NDArray[np.float32]
    names: tuple[str, ...]
    widths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The most probable class of each face, int64 [n]; the first wins a tie."""
        best: NDArray[np.int64] = self.targets.argmax(axis=1)
        return best

    @property
    def counts(self) -> dict[str, int]:
        """The number of faces by class."""
        found = np.bincount(self.labels, minlength=len(EXPRESSIONS))
        return dict(zip(EXPRESSIONS, map(int, found), strict=True))

    def take(self, rows: NDArray[np.int64]) -> "Faces":
        """Return the faces in the given rows, in that order."""
        names = tuple(self.names[row] for row in rows)
        return Faces(self.images[rows], self.targets[rows], names, self.widths[rows])

    @staticmethod
    def join(parts: Sequence["Faces"]) -> "Faces":
        """Return all faces of several sets, one set after the other."""
        if len(parts) == 1:
            return parts[0]
        return Faces(
            np.concatenate([part.images for part in parts]),
            np.concatenate([part.targets for part in parts]),
            tuple(name for part in parts for name in part.names),
            np.concatenate([part.widths for part in parts]),
        )
