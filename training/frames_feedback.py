"""Corrections of a mistaken source, for trying what a refit with them is worth.

``python -m training.frames_feedback --bundle models/face --data frames.tar --out feedback.jsonl``
lets the labels of whole photos play the person who goes through a source and says what each face
shows, also where the bundle was right. The other half of the photos stays for judging; see
`training.frames`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from models.bundle import Bundle, load_bundle
from models.encoder import Encoder
from models.head import Head
from models.observation import EXPRESSIONS
from training.console import clear_errors
from training.datasets.expw_frames import read
from training.datasets.feedback import Correction
from training.errors import RunError
from training.features import encode
from training.frames import SeenPhoto, half, see
from training.progress import Progress

__all__ = ["corrections_of", "main"]

START: Final = datetime(2026, 1, 1, tzinfo=UTC)  # only the order counts


def corrections_of(bundle: Bundle, photos: Sequence[SeenPhoto]) -> list[Correction]:
    """Return a correction of each face that was found, as if somebody went through them by name.

    The photos of one search word, which their names begin with, so follow each other.

    Args:
        bundle: encoder and head that predict.
        photos: with faces that are cut `aligned`.
    """
    found = [
        (photo.name, place, face)
        for photo in sorted(photos, key=lambda photo: photo.name)
        for place, face in enumerate(photo.faces)
        if face.iou is not None
    ]
    if not found:
        return []
    crops = np.stack([face.crops["aligned"] for *_, face in found])
    features = encode(Encoder.of(bundle), crops, Progress())
    said = Head(bundle).predict(features).argmax(axis=1)
    return [
        Correction(
            id=name,
            face=place,
            time=START + timedelta(seconds=second),
            bundle=f"face/{bundle.manifest.version}",
            predicted=EXPRESSIONS[said[second]],
            label=face.face.emotion,
            features=tuple(features[second].tolist()),
        )
        for second, (name, place, face) in enumerate(found)
    ]


def main(
    bundle: Annotated[Path, typer.Option(help="A version, or the folder with ACTIVE.")],
    data: Annotated[Path, typer.Option(help="Photos with boxed faces, as one tar file.")],
    out: Annotated[Path, typer.Option(help="The new file of corrections.")],
) -> None:
    """Write corrections of one half of the photos."""
    with clear_errors():
        if out.exists() or not out.parent.is_dir():  # now, and not after minutes
            why = "exists" if out.exists() else "is in a folder that does not exist"
            raise RunError(f"{out} {why}; give another file with --out")
        checked = load_bundle(bundle)
        seen = see(checked, [photo for photo in read(data) if half(photo.name) == "choose"])
        made = corrections_of(checked, seen)
        with out.open("x", encoding="utf-8") as file:
            file.writelines(f"{entry.model_dump_json()}\n" for entry in made)
        wrong = sum(entry.predicted != entry.label for entry in made)
        typer.echo(f"{len(made)} corrections, {wrong} of them of mistakes", err=True)


if __name__ == "__main__":
    typer.run(main)
