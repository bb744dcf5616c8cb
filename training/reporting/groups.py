"""Accuracy on groups of faces that the data tell apart: by size and by brightness."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.reporting.intervals import Interval, wilson

__all__ = ["Group", "split"]


class Group(NamedTuple):
    """The faces with values from `low` to `high`, both of which occur."""

    low: float
    high: float
    n: int
    hits: int

    @property
    def accuracy(self) -> float:
        """Share of faces that were called rightly."""
        return self.hits / self.n

    @property
    def interval(self) -> Interval:
        """Where that share lies with 95 % confidence."""
        return wilson(self.hits, self.n)

    def name(self, unit: str) -> str:
        """Return the range of values, for people; whole numbers are enough for both measures."""
        low, high = round(self.low), round(self.high)
        return f"{low} {unit}".strip() if low == high else f"{low} to {high} {unit}".strip()


def split(
    values: NDArray[np.number[Any]], right: NDArray[np.bool_], parts: int
) -> tuple[Group, ...]:
    """Cut faces into groups of about equal size by a value, the lowest first.

    Equal values stay together, so there may be fewer groups, and only one where all are equal.

    Args:
        values: [n], n > 0.
        right: bool [n], whether each face was called rightly.
        parts: wanted number of groups.
    """
    edges = np.unique(np.quantile(values, np.arange(1, parts) / parts))
    # A face on an edge belongs below it.
    places = np.searchsorted(edges, values, side="left")
    return tuple(
        Group(
            low=float(values[places == place].min()),
            high=float(values[places == place].max()),
            n=int((places == place).sum()),
            hits=int(right[places == place].sum()),
        )
        for place in np.unique(places)
    )
