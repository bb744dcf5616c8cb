"""What a bundle found in data that it did not learn from, to hold a stream against.

`reference.json` is an optional file of a bundle: how often it gave each class, how sure it was, and
a small projection of its features. Coordinates in that projection become integers once, here, so
that their sums are exact in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from models.manifest import Strict

__all__ = [
    "BINS",
    "FARTHEST",
    "UNIT",
    "Coordinates",
    "Projector",
    "Reference",
    "confidence_bin",
]

BINS: Final = 10  # of confidence, each a tenth wide
UNIT: Final = 100  # coordinates are kept in hundredths of a standard deviation, as integers
FARTHEST: Final = 100 * UNIT  # a coordinate further out counts as this, so that squares stay small

Coordinates = tuple[int, ...]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
# What coordinates in hundredths and within `FARTHEST` can have, so that a distance is finite.
_Mean = Annotated[float, Field(ge=-FARTHEST / UNIT, le=FARTHEST / UNIT, allow_inf_nan=False)]
_Deviation = Annotated[float, Field(ge=1 / UNIT, le=FARTHEST / UNIT, allow_inf_nan=False)]


def confidence_bin(confidence: int) -> int:
    """Return the bin, 0 to 9, of a confidence in thousandths; 1000 is in the last one."""
    return min(confidence * BINS // 1000, BINS - 1)


class Reference(Strict):
    """What a bundle found in its reference data.

    Attributes:
        data: what that was, for people.
        items: faces or texts in it.
        classes: how many of them were given each class, in the order of the manifest.
        confidence: how many of them lay in each bin of confidence.
        centre: what is taken from the features, one number a feature.
        directions: one row for each coordinate, with a number a feature. On the reference data
            coordinates have about mean 0 and standard deviation 1, and are uncorrelated.
        mean: of each coordinate on the reference data.
        deviation: standard deviation of each coordinate there.
    """

    schema_version: Literal[1] = 1
    data: str
    items: int = Field(ge=1)
    classes: tuple[int, ...] = Field(min_length=2)
    confidence: tuple[int, ...] = Field(min_length=BINS, max_length=BINS)
    centre: tuple[_Finite, ...]
    directions: tuple[tuple[_Finite, ...], ...] = Field(min_length=1, max_length=64)
    mean: tuple[_Mean, ...]
    deviation: tuple[_Deviation, ...]

    @model_validator(mode="after")
    def _agrees(self) -> Reference:
        for name in ("classes", "confidence"):
            counts = getattr(self, name)
            if min(counts) < 0 or sum(counts) != self.items:
                raise ValueError(f"{name} has to count {self.items} items, not {sum(counts)}")
        widths = {len(row) for row in self.directions}
        if widths != {len(self.centre)}:
            raise ValueError(f"directions have {sorted(widths)} numbers, centre {len(self.centre)}")
        if not len(self.mean) == len(self.deviation) == len(self.directions):
            raise ValueError(f"mean and deviation need {len(self.directions)} numbers")
        return self


class Projector:
    """Takes features to the coordinates of a reference."""

    def __init__(self, reference: Reference) -> None:
        """Keep centre and directions as arrays."""
        self._centre = np.array(reference.centre, np.float64)
        self._directions = np.array(reference.directions, np.float64) * UNIT

    def __call__(self, features: NDArray[np.floating]) -> list[Coordinates]:
        """Return the coordinates of each row, in hundredths.

        Args:
            features: shape (n, features of the bundle); n may be 0.
        """
        # Not by BLAS: its threads cost more than they save, and a row is the same in any batch.
        exact = np.einsum("nf,kf->nk", features - self._centre, self._directions)
        # Not a number is as far out as can be: it is no face like any before.
        bounded = np.clip(np.nan_to_num(exact, nan=FARTHEST), -FARTHEST, FARTHEST)
        rows: Sequence[Sequence[int]] = np.rint(bounded).astype(np.int64).tolist()
        return [tuple(row) for row in rows]
