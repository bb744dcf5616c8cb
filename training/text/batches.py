"""Batches of texts of about the same length, so that little is padded."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["hide", "in_order", "padded", "shuffled"]

POOL: Final = 50  # batches; texts are sorted by length within so many, and drawn from all


def shuffled(lengths: Sequence[int], size: int, random: np.random.Generator) -> list[list[int]]:
    """Return the rows of an epoch in batches; which texts meet differs from epoch to epoch."""
    order = random.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), POOL * size):
        pool = sorted(order[start : start + POOL * size].tolist(), key=lengths.__getitem__)
        batches += [pool[at : at + size] for at in range(0, len(pool), size)]
    return [batches[at] for at in random.permutation(len(batches))]


def padded(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return ids, filled up with 0, and the mask of what is real: int64 [n, longest] each."""
    filled = np.zeros((len(ids), max(map(len, ids))), np.int64)
    mask = np.zeros_like(filled)
    for row, numbers in enumerate(ids):
        filled[row, : len(numbers)] = numbers
        mask[row, : len(numbers)] = 1
    return torch.from_numpy(filled), torch.from_numpy(mask)


def hide(
    ids: Tensor, mask: Tensor, share: float, number: int, random: np.random.Generator
) -> Tensor:
    """Return ids with a share of the word pieces hidden; first and last, the marks, stay.

    Args:
        ids: int64 [n, t].
        mask: int64 [n, t].
        share: of the word pieces.
        number: what stands in their place.
        random: draws them.
    """
    hidden: NDArray[np.bool_] = random.random(ids.shape) < share
    inner = np.zeros(ids.shape, np.bool_)
    lengths = mask.sum(1).tolist()
    for row, length in enumerate(lengths):
        inner[row, 1 : length - 1] = True
    return ids.masked_fill(torch.from_numpy(hidden & inner), number)


def in_order(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield all rows once, the shortest first."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in range(0, len(order), size):
        yield order[start : start + size]
