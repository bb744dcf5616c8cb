"""Turns word pieces into features with the ONNX encoder of a text bundle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import BundleError
from models.runtime import open_session

__all__ = ["TextEncoder", "length_batches"]

TEXTS_AT_ONCE: Final = 32
# Word pieces of one run, padding included: more leave the cache of a core.
PIECES_AT_ONCE: Final = 512
IDS, MASK = "ids", "mask"

Ids = Sequence[int]


class TextEncoder:
    """A Transformer with mean pooling, or sums over the word pieces."""

    def __init__(self, path: Path, feature_count: int, threads: int = 1) -> None:
        """Open an encoder and check its inputs and outputs.

        Args:
            path: the ONNX model; inputs `ids` and, for a Transformer, `mask`, int64 (n, t); output
                (n, feature_count), float32.
            feature_count: numbers per text.
            threads: of one run; 0 takes the cores.

        Raises:
            BundleError: inputs or output are others.
        """
        self.feature_count = feature_count
        self._session = open_session(path, threads)
        self._inputs = [value.name for value in self._session.get_inputs()]
        # What a Transformer says of a text depends, in the last bits, on how many texts are run
        # with it, and with 8-bit activations in the first digits as well. A result may depend on
        # its text alone. Each in a run of its own, texts of 30 word pieces took 1.1 of the time of
        # batches with 8-bit weights, and 1.5 with 32-bit ones.
        self._alone = MASK in self._inputs
        if self._inputs not in ([IDS], [IDS, MASK]):
            raise BundleError(f"{path}: the inputs are {self._inputs}, not {IDS} and {MASK}")
        (features,) = self._session.get_outputs()
        if list(features.shape[1:]) != [feature_count]:
            raise BundleError(
                f"{path}: the output is (n, *{list(features.shape[1:])}), "
                f"the manifest says (n, {feature_count})"
            )

    @property
    def masked(self) -> bool:
        """Whether it is told what is filling, as a Transformer has to be."""
        return MASK in self._inputs

    def encode(self, ids: Sequence[Ids], pool: Executor | None = None) -> NDArray[np.float32]:
        """Return the features of texts, whatever their order and lengths.

        Where the encoder is no Transformer, texts of about the same length are run together, so
        that little is padded.

        Args:
            ids: the word pieces of each text, at least one each.
            pool: runs the batches side by side.

        Returns:
            float32, shape (n, feature_count).
        """
        features = np.empty((len(ids), self.feature_count), np.float32)
        batches = (
            [[row] for row in range(len(ids))]
            if self._alone
            else list(length_batches([len(numbers) for numbers in ids]))
        )
        run = map if pool is None else pool.map
        for rows, found in zip(
            batches, run(self._run, ([ids[row] for row in rows] for rows in batches)), strict=True
        ):
            features[rows] = found
        return features

    def _run(self, ids: Sequence[Ids]) -> NDArray[np.float32]:
        filled = np.zeros((len(ids), max(map(len, ids))), np.int64)
        mask = np.zeros_like(filled)
        for row, numbers in enumerate(ids):
            filled[row, : len(numbers)] = numbers
            mask[row, : len(numbers)] = 1
        given = dict(zip((IDS, MASK), (filled, mask), strict=True))
        (features,) = self._session.run(None, {name: given[name] for name in self._inputs})
        result: NDArray[np.float32] = features
        return result


def length_batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield rows in batches of similar length, each within the limits of one run."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Lengths rise, so the newest is what all are padded to.
        full = (len(batch) + 1) * lengths[row] > PIECES_AT_ONCE or len(batch) == TEXTS_AT_ONCE
        if batch and full:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
