"""Makes the reference of a bundle: what it finds in the validation data, as it will serve."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import active_folder, kind_of, load_bundle, load_text_bundle, write_manifest
from models.faces import FaceScorer
from models.head import Head
from models.manifest import REFERENCE
from models.observation import SCALE
from models.reference import BINS, UNIT, Projector, Reference, confidence_bin
from models.texts import TextScorer
from training.datasets.faces import Faces
from training.errors import RunError
from training.export import save
from training.text.tweets import Texts

__all__ = ["add_reference", "make_reference", "write_reference"]

COORDINATES: Final = 8
DIGITS: Final = 5  # of a number of the projection; they keep the file under 150 kB
SMALLEST: Final = 1e-6  # a feature that varies less, of what the most varied one does, is constant
WEAKEST: Final = 1e-3  # a direction that varies less is noise: logits that sum to 0 have one


def write_reference(folder: Path, held: Faces | Texts) -> bool:
    """Write `reference.json` into the folder of a bundle, which has a manifest.

    Args:
        folder: of the bundle.
        held: its validation data.

    Returns:
        False where all of it looks the same to the encoder, so that there is none to write.

    Raises:
        BundleError: the bundle may not be used.
    """
    if isinstance(held, Faces):
        bundle = load_bundle(folder)
        features = FaceScorer(bundle).features(list(held.images))
        shares = Head(bundle).predict(features)
        said = f"validation: {len(features)} faces"
    else:
        scorer = TextScorer(load_text_bundle(folder))
        features = scorer.features(held.cleaned)
        shares = scorer.from_features(features)
        said = f"validation: {len(features)} texts"
    made = make_reference(features, shares, said)
    if made is None:
        return False
    save(folder / REFERENCE, f"{made.model_dump_json()}\n".encode())
    return True


def add_reference(folder: Path, held: Faces | Texts) -> None:
    """Add a reference to a bundle that has none; all its other files stay as they are.

    Args:
        folder: a version, or the folder with `ACTIVE`.
        held: its validation data.

    Raises:
        BundleError: the bundle may not be used.
        RunError: it has a reference already, or none can be made of this data.
    """
    folder = active_folder(folder)
    check = load_text_bundle if kind_of(folder) == "text" else load_bundle
    bundle = check(folder)
    if bundle.reference is not None:
        raise RunError(f"{folder} has a {REFERENCE} already; what a version holds does not change")
    if not write_reference(folder, held):
        raise RunError(
            f"all validation data looks the same to the encoder of {folder}, so there is nothing "
            "to measure drift against; give the settings and data that it was made with"
        )
    fields: dict[str, Any] = bundle.manifest.model_dump(exclude={"files"})
    write_manifest(folder, **fields)
    check(folder)


def make_reference(
    features: NDArray[np.floating], shares: NDArray[np.floating], data: str
) -> Reference | None:
    """Return the reference; None if no feature varies.

    The projection are the first principal components of the standardised features, each divided
    by its standard deviation (Jolliffe, Principal Component Analysis, 2nd ed. 2002).

    Args:
        features: shape (n, features).
        shares: calibrated probabilities, shape (n, classes).
        data: what they are of, for people.
    """
    exact = features.astype(np.float64)
    centre, spread = exact.mean(axis=0), exact.std(axis=0)
    useful = spread > SMALLEST * max(float(spread.max()), SMALLEST)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=useful)
    if not useful.any():
        return None
    _, sizes, rows = np.linalg.svd((exact - centre) * scale, full_matrices=False)
    kept = [row for row in range(min(COORDINATES, len(sizes))) if sizes[row] > WEAKEST * sizes[0]]
    deviations = sizes[kept] / np.sqrt(len(exact))
    # The sign of a component is free: its largest number is positive, so that it is always one.
    signs = np.sign(np.take_along_axis(rows[kept], np.abs(rows[kept]).argmax(1)[:, None], 1))
    directions = rows[kept] * signs * scale / deviations[:, None]
    classes = np.bincount(shares.argmax(axis=1), minlength=shares.shape[1])
    thousandths = np.rint(shares.max(axis=1) * SCALE).astype(int).tolist()
    bins = np.bincount([confidence_bin(value) for value in thousandths], minlength=BINS)
    made = Reference(
        data=data,
        items=len(exact),
        classes=tuple(classes.tolist()),
        confidence=tuple(bins.tolist()),
        centre=_rounded(centre),
        directions=tuple(_rounded(row) for row in directions),
        mean=(0.0,) * len(kept),
        deviation=(1.0,) * len(kept),
    )
    # With the numbers as they are written, and the integers as they are counted.
    places = np.array(Projector(made)(exact)) / UNIT
    moments = {"mean": _rounded(places.mean(axis=0)), "deviation": _rounded(places.std(axis=0))}
    return made.model_copy(update=moments)


def _rounded(values: NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)
