"""Corrections by people as rows to learn from: checked, the newest of each face, in blocks."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import ENCODER, load_bundle
from models.observation import EXPRESSIONS
from training.datasets.feedback import Correction, corrections
from training.errors import DataError

__all__ = ["BLOCKS", "Corrected", "check_encoder", "read_corrections"]

# The corrections are cut into so many stretches of time. Whoever corrects a camera's pictures goes
# from one to the next, so neighbours in time look alike, and stand in one block.
BLOCKS: Final = 20
HELD_EVERY: Final = 4  # each fourth block is held out


@dataclass(frozen=True)
class Corrected:
    """The corrections of a file, in the order of their times.

    Attributes:
        features: float32 [n, k], as the encoder gave them.
        labels: int64 [n], the places of the true classes.
        blocks: int64 [n], from 0 to `BLOCKS` - 1, growing with time; all faces of an event, and
            all rows with the same features, stand in one.
        versions: of the bundles that predicted, sorted.
        replaced: how many lines a newer correction of the same face has taken the place of.
        sha256: of the file.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    blocks: NDArray[np.int64]
    versions: tuple[str, ...]
    replaced: int
    sha256: str

    @property
    def held(self) -> NDArray[np.bool_]:
        """Which rows are held out: they neither fit nor choose anything, [n]."""
        held: NDArray[np.bool_] = self.blocks % HELD_EVERY == HELD_EVERY - 1
        return held

    def folds(self, count: int) -> NDArray[np.int64]:
        """Return the fold of each row that is not held out, by its block."""
        learnt = self.blocks[~self.held]
        _, order = np.unique(learnt, return_inverse=True)
        folds: NDArray[np.int64] = order % count
        return folds


def read_corrections(path: Path, feature_count: int) -> Corrected:
    """Read a file of corrections, as `sentistream feedback export` writes it.

    Of several for the same face of an event the newest counts; of equally new ones, the last.

    Raises:
        DataError: the file cannot be read, a line does not fit, a label is none of the classes, or
            there are too few events to hold any out.
    """
    newest: dict[tuple[str, int], Correction] = {}
    lines = 0
    for entry in corrections(path):
        lines += 1
        _check(entry, path, feature_count)
        key = (entry.id, entry.face)
        if key not in newest or newest[key].time <= entry.time:
            newest[key] = entry
    kept = sorted(newest.values(), key=lambda one: (one.time, one.id, one.face))
    events = _events(kept)
    count = len(set(events))
    if count < BLOCKS:
        raise DataError(
            f"{path} has corrections of {count} events; at least {BLOCKS} are needed to hold some "
            "out and to choose by the others"
        )
    return Corrected(
        np.array([entry.features for entry in kept], np.float32),
        np.array([EXPRESSIONS.index(entry.label) for entry in kept], np.int64),
        _blocks(events),
        tuple(sorted({entry.bundle.partition("/")[2] for entry in kept})),
        lines - len(kept),
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def check_encoder(versions: Sequence[str], bundles: Path, encoder: Path) -> None:
    """Refuse features that another encoder gave.

    Args:
        versions: of the face bundles that predicted.
        bundles: the folder of all bundles, with `face` in it.
        encoder: the one that the run ships.

    Raises:
        BundleError: a version is not there, or was changed.
        DataError: a version has another encoder.
    """
    ours = hashlib.sha256(encoder.read_bytes()).hexdigest()
    for version in versions:
        theirs = load_bundle(bundles / "face" / version).manifest.files[ENCODER].sha256
        if theirs != ours:
            raise DataError(
                f"there are corrections of face/{version}, whose encoder (SHA-256 {theirs[:12]}…) "
                f"is not {encoder} ({ours[:12]}…): features of one say nothing to the head of "
                "the other. Give the run that this version was made by, or leave those lines out"
            )


def _check(entry: Correction, path: Path, feature_count: int) -> None:
    what = f"{path}: the correction of face {entry.face} of event {entry.id!r}"
    if len(entry.features) != feature_count:
        raise DataError(
            f"{what} has {len(entry.features)} features; the encoder of the run gives "
            f"{feature_count}"
        )
    with np.errstate(over="ignore"):
        if not np.isfinite(np.asarray(entry.features, np.float32)).all():
            raise DataError(f"{what} has features that are no finite numbers")
    for name in (entry.label, entry.predicted):
        if name not in EXPRESSIONS:
            raise DataError(f"{what} has the label {name!r}; known are {', '.join(EXPRESSIONS)}")


def _events(entries: Sequence[Correction]) -> list[int]:
    """Return a number for each row, the same for faces of one event and for equal features.

    The same picture sent twice has two ids, and the same features.
    """
    parents: dict[int, int] = {}

    def root(row: int) -> int:
        while parents.setdefault(row, row) != row:
            row = parents[row]
        return row

    seen: dict[object, int] = {}
    for row, entry in enumerate(entries):
        for mark in (entry.id, entry.features):
            first, own = root(seen.setdefault(mark, row)), root(row)
            parents[max(first, own)] = min(first, own)
    return [root(row) for row in range(len(entries))]


def _blocks(events: Sequence[int]) -> NDArray[np.int64]:
    """Cut the events, in the order of their first correction, into `BLOCKS` of like size."""
    order: Mapping[int, int] = {event: place for place, event in enumerate(sorted(set(events)))}
    places = np.array([order[event] for event in events], np.int64)
    blocks: NDArray[np.int64] = places * BLOCKS // len(order)
    return blocks
