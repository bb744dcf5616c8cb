"""How often hours are called drifted: of a stream that is the reference, and of one that is not.

`python -m infra.drift_rates` draws hours from the reference of each bundle in use: classes, bins of
confidence, and a normal distribution of each coordinate, each observation on its own. What it
cannot know are observations that hang together, as the frames of one camera do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray

import models
from dataflows.drift import Figures, Model, measure, model_of
from dataflows.drift_options import DriftOptions
from models.bundle import AnyBundle, load_bundle, load_text_bundle
from models.errors import BundleError
from models.reference import UNIT, Reference

__all__ = ["main"]

SIZES: Final = (200, 500, 1000, 5000)
# Name of the stream; share of the observations that is of the rarest class and of the least sure
# bin of the reference instead; how far each coordinate is off, in standard deviations.
STREAMS: Final = (
    ("the reference", 0.0, 0.0),
    ("a tenth is another", 0.1, 0.2),
    ("a quarter is another", 0.25, 0.4),
    ("half is another", 0.5, 0.8),
)
NAMES: Final = ("mix", "confidence", "embedding")


def main(
    bundles: Annotated[Path, typer.Option(help="Folder of the bundles.")] = Path(
        models.__file__
    ).parent,
    hours: Annotated[int, typer.Option(help="To be drawn for each line.", min=1)] = 2000,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """Print by bundle, stream and size of an hour the share of hours over each limit."""
    found: list[AnyBundle] = [load_bundle(bundles / "face"), load_text_bundle(bundles / "text")]
    for bundle in found:
        manifest, reference = bundle.manifest, bundle.reference
        if reference is None:
            raise BundleError(f"{bundle.folder} has no reference")
        model = model_of(manifest.name, manifest.version, reference)
        typer.echo(f"{manifest.name} {manifest.version}, {reference.data}; {hours} hours a line")
        typer.echo(f"{'stream':<22}{'n':>6}{'mix':>8}{'conf.':>8}{'embed.':>8}{'any':>8}  medians")
        generator = np.random.default_rng(seed)
        for name, share, off in STREAMS:
            for n in SIZES:
                drawn = [*_hours(generator, model, reference, n, share, off, hours)]
                typer.echo(f"{name:<22}{n:>6}{_line(drawn)}")


def _hours(
    generator: np.random.Generator,
    model: Model,
    reference: Reference,
    n: int,
    share: float,
    off: float,
    hours: int,
) -> Iterator[Figures]:
    classes, bins = np.array(reference.classes), np.array(reference.confidence)
    classes, bins = classes / classes.sum(), bins / bins.sum()
    rare = int(np.where(classes > 0, classes, 2).argmin())
    unsure = int(np.flatnonzero(bins)[0])
    centre = np.array(reference.mean) + off * np.array(reference.deviation)
    for _ in range(hours):
        places = generator.normal(centre, reference.deviation, (n, len(centre)))
        units = np.rint(places * UNIT).astype(np.int64)
        counts = (
            generator.multinomial(n, _moved(classes, rare, share)),
            generator.multinomial(n, _moved(bins, unsure, share)),
            (n,),
            units.sum(0),
            (units**2).sum(0),
        )
        yield measure(model, tuple(int(value) for part in counts for value in part), 1)


def _moved(shares: NDArray[np.float64], to: int, share: float) -> NDArray[np.float64]:
    moved = shares * (1 - share)
    moved[to] += share
    return moved


def _line(drawn: list[Figures]) -> str:
    options = DriftOptions()
    limits = [getattr(options, name) for name in NAMES]
    values = np.array([figures[1:] for figures in drawn], np.float64)
    over = values > limits
    shares = [*over.mean(0), over.any(1).mean()]
    medians = " ".join(f"{value:.3f}" for value in np.median(values, axis=0))
    return "".join(f"{value:>8.4f}" for value in shares) + f"  {medians}"


if __name__ == "__main__":
    typer.run(main)
