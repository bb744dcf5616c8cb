"""What a face costs: `python -m training.cost --bundle models/face` compares with EfficientNet-B0.

Times are those of the processor, on one thread: what else runs on the machine takes no part in
them. What is compared is measured in turns, in an order that changes each time.
"""

import functools
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray

from models.bundle import load_bundle
from models.encoder import Encoder
from models.head import Head

__all__ = ["cost_ratio", "interleaved"]

B0_SIDE: Final = 224  # pixels: the input that EfficientNet-B0 was made for
REPEATS: Final = 200
WARM_UP: Final = 5
BATCH: Final = 8  # the largest that the encoder runs at once


def interleaved(
    actions: Mapping[str, Callable[[], object]], repeats: int = REPEATS
) -> dict[str, NDArray[np.float64]]:
    """Time some actions in turns.

    Args:
        actions: what is timed; it computes in the calling thread alone.
        repeats: how often each is timed, after a few times that do not count.

    Returns:
        Processor time in seconds of each time, float64 [repeats], by name; entries with the same
        number were taken one after another.
    """
    rng = np.random.default_rng(0)
    names = list(actions)
    times = {name: np.empty(repeats) for name in names}
    for turn in range(-WARM_UP, repeats):
        for index in rng.permutation(len(names)):
            name = names[index]
            start = time.thread_time()
            actions[name]()
            if turn >= 0:
                times[name][turn] = time.thread_time() - start
    return times


def cost_ratio(bundle: Path, repeats: int = REPEATS) -> dict[str, Any]:
    """Compare a face through a bundle's encoder and head with EfficientNet-B0 at 224 pixels.

    Both run in ONNX Runtime on one thread. The B0 has random weights, which take the same time.

    Args:
        bundle: a version, or the folder with `ACTIVE`.
        repeats: how often each is timed.

    Returns:
        `ratio`: the median of the turns' ratios with one face; `ratio_of_medians_1` and
        `ratio_of_medians_8`: that of the median times with one face and, per face, with eight;
        `face_ms` and `b0_ms`: the median times of one face; `repeats`.

    Raises:
        BundleError: the bundle is refused.
    """
    import timm  # here, so that timing alone needs no torch

    from training.export import open_encoder, save, to_onnx

    checked = load_bundle(bundle)
    encoder, head = Encoder.of(checked, threads=1), Head(checked, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b0.onnx"
        save(path, to_onnx(timm.create_model("efficientnet_b0"), B0_SIDE))
        b0 = open_encoder(path, B0_SIDE, threads=1)
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for count in (1, BATCH):
        ours, theirs = (
            rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
            for side in (encoder.size, B0_SIDE)
        )
        face_of = functools.partial(_score, encoder, head, ours)
        times = interleaved({"face": face_of, "b0": functools.partial(b0.encode, theirs)}, repeats)
        face, other = np.median(times["face"]), np.median(times["b0"])
        if count == 1:
            found["ratio"] = round(float(np.median(times["face"] / times["b0"])), 4)
            found["face_ms"] = round(float(face) * 1000, 3)
            found["b0_ms"] = round(float(other) * 1000, 3)
        found[f"ratio_of_medians_{count}"] = round(float(face / other), 4)
    return {**found, "repeats": repeats}


def _score(encoder: Encoder, head: Head, faces: NDArray[np.uint8]) -> NDArray[np.float64]:
    return head.predict(encoder.encode(faces))


def _main(
    bundle: Annotated[Path, typer.Option(help="A version, or the folder with ACTIVE.")],
    repeats: Annotated[int, typer.Option(min=1, help="How often each is timed.")] = REPEATS,
) -> None:
    """Print as JSON what a face costs, against EfficientNet-B0 in the same run."""
    typer.echo(json.dumps(cost_ratio(bundle, repeats)))


if __name__ == "__main__":
    typer.run(_main)
