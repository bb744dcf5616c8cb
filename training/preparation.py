"""From the data sets of the settings to what a run learns from and chooses by, with an account."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.observation import EXPRESSIONS
from training.config import Config, Source
from training.datasets.faces import Faces, Split
from training.datasets.sources import FORMATS, Loaded, load
from training.datasets.split import known_elsewhere, stratified_split
from training.errors import DataError
from training.reporting.files import replace

__all__ = ["ACCOUNT", "Prepared", "prepare", "read_split", "write_account"]

ACCOUNT: Final = "data.json"


@dataclass(frozen=True)
class Prepared:
    """All data of a run but the test split of the target.

    Attributes:
        train: the faces to learn from, by name of their source.
        validation: the target's faces that choose.
        fingerprints: SHA-256 of pixels, labels and names as they were read, by source.
        account: counts, mappings, broken and left out files, JSON-ready.
    """

    train: dict[str, Faces]
    validation: Faces
    fingerprints: dict[str, str]
    account: dict[str, Any]

    @property
    def target(self) -> Faces:
        """What is learnt from the target, the first source."""
        return next(iter(self.train.values()))


def prepare(config: Config, root: Path) -> Prepared:
    """Read all sources, hold out the validation faces, and take known faces out of training.

    A training face whose pixels also stand in the validation faces, or in the test split of any
    source, is not learnt from. Of the test splits nothing but that is used here. Only the target's
    validation split is read, as the others have nothing to choose.

    Args:
        config: all settings of the run.
        root: the folder that the paths of the sources are relative to.

    Raises:
        DataError: a source cannot be read, or a class of the target has no face to learn from or
            none to choose by.
    """
    side = config.network.input_size
    splits: dict[str, dict[Split, Loaded]] = {
        source.name: {split: load(source, root, split, side=side) for split in ("train", "test")}
        for source in config.data.sources
    }
    first = config.data.sources[0]
    target, own = first.name, splits[first.name]
    own["validation"] = load(first, root, "validation", side=side)
    learnt, validation = own["train"].faces, own["validation"].faces
    if not len(learnt):
        raise DataError(f"data.sources: {target!r}, the first one, has no training data")
    if not len(validation):
        _check_classes(learnt, f"the training data of {target!r}")
        rows, held = stratified_split(
            learnt.labels, config.data.validation_fraction, config.data.seed
        )
        learnt, validation = learnt.take(rows), learnt.take(held)
    elsewhere = [validation, *(parts["test"].faces for parts in splits.values())]
    train: dict[str, Faces] = {}
    removed: dict[str, int] = {}
    for name, parts in splits.items():
        faces = learnt if name == target else parts["train"].faces
        known = known_elsewhere(faces, elsewhere)
        removed[name] = len(known)
        train[name] = (
            faces.take(np.setdiff1d(np.arange(len(faces)), known)) if len(known) else faces
        )
    _check_classes(train[target], f"the training data of {target!r}")
    _check_classes(validation, f"the validation data of {target!r}")
    account: dict[str, Any] = {
        "sources": [
            _account(source, splits[source.name], train[source.name], removed[source.name])
            for source in config.data.sources
        ],
        "classes": {
            "train": train[target].counts,
            "validation": validation.counts,
            "test": own["test"].faces.counts,
        },
    }
    fingerprints = {entry["name"]: entry["sha256"] for entry in account["sources"]}
    return Prepared(train, validation, fingerprints, account)


def read_split(source: Source, root: Path, split: Split, *, side: int) -> Faces:
    """Return the faces of one split, of which there has to be one.

    Raises:
        DataError: the source cannot be read, or has nothing in this split.
    """
    faces = load(source, root, split, side=side).faces
    if not len(faces):
        raise DataError(f"{root / source.path} has no readable picture in its {split} split")
    return faces


def write_account(prepared: Prepared, run: Path) -> None:
    """Write `data.json` into the run."""
    replace(run / ACCOUNT, json.dumps(prepared.account, indent=2, ensure_ascii=False) + "\n")


def _check_classes(faces: Faces, what: str) -> None:
    absent = [name for name, count in faces.counts.items() if not count]
    if absent:
        raise DataError(
            f"{what} has no picture of {', '.join(absent)}; every one of "
            f"{', '.join(EXPRESSIONS)} is needed"
        )


def _account(
    source: Source, parts: dict[Split, Loaded], train: Faces, removed: int
) -> dict[str, Any]:
    classes: dict[str, list[Any]] = {}
    for part in parts.values():
        for name, (count, ours) in part.classes.items():
            classes.setdefault(name, [0, ours])[0] += count
    return {
        "name": source.name,
        "format": source.format,
        "title": FORMATS[source.format].TITLE,
        "terms": FORMATS[source.format].TERMS,
        "split_rows": {split: len(part.faces) for split, part in parts.items()},
        "learnt_from": len(train),
        "classes": classes,
        "broken": {name: why for part in parts.values() for name, why in part.broken.items()},
        "left_out": sum(part.left_out for part in parts.values()),
        "duplicates_removed": removed,
        "sha256": _fingerprint([part.faces for part in parts.values()]),
    }


def _fingerprint(parts: Sequence[Faces]) -> str:
    total = hashlib.sha256()
    for faces in parts:
        arrays: tuple[NDArray[Any], ...] = (faces.images, faces.targets)
        for array in arrays:
            total.update(repr(array.shape).encode())
            total.update(np.ascontiguousarray(array).data)
        total.update("\0".join(faces.names).encode())
    return total.hexdigest()
