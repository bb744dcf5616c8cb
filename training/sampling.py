"""Which faces an epoch sees: all of them, or a part of a source that is drawn anew each time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.datasets.faces import Faces

__all__ = ["Sampler", "sampler"]


@dataclass(frozen=True)
class Sampler:
    """The rows of an epoch, out of all faces of a phase.

    Attributes:
        always: rows that each epoch sees, int64.
        pools: rows of one class of one source, int64, and how many of them each epoch sees.
    """

    always: NDArray[np.int64]
    pools: tuple[tuple[NDArray[np.int64], int], ...] = ()

    def __len__(self) -> int:
        """Return the number of faces that an epoch sees."""
        return len(self.always) + sum(size for _, size in self.pools)

    @property
    def typical(self) -> NDArray[np.int64]:
        """The rows of one possible epoch, int64; every epoch has as many of each class."""
        return np.concatenate([self.always, *(rows[:size] for rows, size in self.pools)])

    def draw(self) -> NDArray[np.int64]:
        """Return the rows of the next epoch in random order, by torch's global generator."""
        parts = [rows[torch.randperm(len(rows))[:size].numpy()] for rows, size in self.pools]
        together = np.concatenate([self.always, *parts])
        rows: NDArray[np.int64] = together[torch.randperm(len(together)).numpy()]
        return rows


def sampler(
    sources: Sequence[str], train: Mapping[str, Faces], at_most: Mapping[str, int]
) -> Sampler:
    """Return the sampler of a phase over the faces of its sources, one after the other.

    Args:
        sources: the names of the sources, in the order in which their faces are joined.
        train: the faces by name of their source.
        at_most: for some of the sources, how many faces of each class an epoch sees.
    """
    always, pools, start = [np.empty(0, np.int64)], list[tuple[NDArray[np.int64], int]](), 0
    for name in sources:
        labels = train[name].labels
        rows = np.arange(start, start + len(labels))
        start += len(labels)
        if name in at_most:
            of_class = [rows[labels == label] for label in np.unique(labels)]
            pools.extend((part, min(len(part), at_most[name])) for part in of_class)
        else:
            always.append(rows)
    return Sampler(np.concatenate(always), tuple(pools))
