"""Accuracy on groups that the data tell apart, as by size, brightness, length or language."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.reporting.intervals import Interval, wilson

__all__ = ["Group", "by_value", "split"]

REST = "other"


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


def by_value(
    values: NDArray[Any], right: NDArray[np.bool_], fewest: int
) -> list[tuple[str, int, int]]:
    """Return name, hits and number of each group of equal values, the largest group first.

    Values that occur in fewer than `fewest` rows are put together, at the end.

    Args:
        values: [n], n > 0; of bools the groups are called `with` and `without`.
        right: bool [n], whether each was called rightly.
        fewest: rows of a group of its own.
    """
    names = np.where(values, "with", "without") if values.dtype == bool else values.astype(str)
    found, counts = np.unique(names, return_counts=True)
    rare = set(found[counts < fewest].tolist())
    if len(rare) > 1:
        names = np.array([REST if name in rare else name for name in names.tolist()])
    groups = [
        (str(name), int(right[names == name].sum()), int((names == name).sum()))
        for name in np.unique(names)
    ]
    return sorted(groups, key=lambda group: (group[0] == REST, -group[2]))
