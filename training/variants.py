"""Tries the encoder in smaller number formats, and decides which file goes into the bundle.

fp32 is the default. With the Lite0 of face bundle 1.3.0 on two cores with AVX-512 VNNI
(`python -m training variants --config training/configs/face.toml`), fp16 took 1.27 of the time of
fp32, as the CPU computes it in float32, and int8 0.64. On 981 validation faces int8 lost 0.001 of
accuracy and of balanced accuracy: too little to tell from luck. Its integer sums cannot saturate on
any CPU (see `to_int8`), but its speed needs VNNI or the like, and the rounding between its layers
is the library's: who chooses it should measure on the machine that will run it.
"""

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import xgboost
from numpy.typing import NDArray

from models.bundle import ENCODER, HEAD
from models.encoder import Encoder
from models.observation import EXPRESSIONS
from training.config import Config
from training.cost import interleaved
from training.datasets.faces import Faces
from training.errors import ExportError, RunError
from training.export import REPORT, open_encoder, save, save_report
from training.features import encode
from training.metrics import report
from training.progress import Progress
from training.quantisation import to_float16, to_int8

__all__ = ["Variant", "choose", "objection", "shipped_encoder", "try_variants"]

Precision = Literal["auto", "fp32", "fp16", "int8"]
REFERENCE: Final = "fp32"
LARGEST_LOSS: Final = 0.003  # of accuracy on the validation faces, against fp32
SLOWEST: Final = 0.95  # of fp32's time; less of a gain is not worth another format
CALIBRATED: Final = 128  # faces from which int8 learns its ranges; 512 gave the same accuracy
REPEATS: Final = 200
BATCH: Final = 8


@dataclass(frozen=True)
class Variant:
    """One number format of the encoder.

    Attributes:
        name: `fp32`, `fp16` or `int8`.
        bytes: size of the file.
        accuracy: on the validation faces, through the run's head.
        balanced_accuracy: likewise, the mean of the classes.
        time_ratio: processor time of encoding one face on one thread, as a share of fp32's.
        batch_independent: a face has the same features, to the bit, alone and among eight.
        shipped: it goes into the bundle.
        note: why, or why not.
    """

    name: str
    bytes: int
    accuracy: float
    balanced_accuracy: float
    time_ratio: float
    batch_independent: bool = True
    shipped: bool = False
    note: str = ""


def try_variants(
    config: Config, run: Path, calibration_faces: Faces, validation: Faces, *, progress: Progress
) -> list[Variant]:
    """Measure fp32, fp16 and int8, choose by `export.precision`, and keep the chosen file.

    All go through the head that was fitted on fp32 features. The results are added to
    `export.json` as `variants`; a chosen format other than fp32 is kept as `encoder.NAME.onnx`.

    Args:
        config: all settings of the run.
        run: a folder with an encoder and a fitted head.
        calibration_faces: faces that were learnt from; int8 takes its ranges from some of them.
        validation: the faces that choose.
        progress: where steps are reported.

    Returns:
        The formats, fp32 first.

    Raises:
        RunError: the encoder or the head is missing.
        ExportError: the precision that is asked for costs too much accuracy, or the disk does not
            take the file.
    """
    encoder_path, side = run / ENCODER, config.network.input_size
    missing = [name for name in (ENCODER, REPORT, HEAD) if not (run / name).is_file()]
    if missing:
        raise RunError(
            f"{run}: {', '.join(missing)} is missing; run `python -m training export` and "
            "`python -m training heads` first"
        )
    rng = np.random.default_rng(config.data.seed)
    rows = np.sort(rng.permutation(len(calibration_faces))[:CALIBRATED])
    contents = {
        REFERENCE: encoder_path.read_bytes(),
        "fp16": to_float16(encoder_path),
        "int8": to_int8(encoder_path, calibration_faces.images[rows]),
    }
    _forget(run)
    parts = {name: run / f"encoder.{name}.onnx.part" for name in contents}
    try:
        for name, content in contents.items():
            save(parts[name], content)
        encoders = {name: open_encoder(path, side, threads=1) for name, path in parts.items()}
        measured = _measure(encoders, parts, run / HEAD, validation, progress)
        chosen = choose(config.export.precision, measured)
        if chosen != REFERENCE:
            save(_kept(run, chosen), contents[chosen])
    finally:
        for path in parts.values():
            path.unlink(missing_ok=True)
    variants = [replace(variant, shipped=variant.name == chosen) for variant in measured]
    found = _read(run)
    found["variants"] = [asdict(variant) for variant in variants]
    found["variants_of"] = _identity(run)
    save_report(run, found)
    return variants


def shipped_encoder(run: Path) -> Path:
    """Return the encoder that goes into the bundle: `encoder.onnx` unless another was chosen.

    Raises:
        RunError: another was chosen, but for another encoder or head, or its file is gone.
    """
    found = _read(run)
    shipped = [entry["name"] for entry in found.get("variants", ()) if entry["shipped"]]
    if not shipped or shipped[0] == REFERENCE:
        return run / ENCODER
    path = _kept(run, shipped[0])
    if not path.is_file() or found.get("variants_of") != _identity(run):
        raise RunError(
            f"{path} is missing or was judged with another encoder or head; "
            "run `python -m training variants` again"
        )
    return path


def objection(variant: Variant, reference: Variant) -> str:
    """Return why a format may not ship by itself; an empty text when it may."""
    loss = round(reference.accuracy - variant.accuracy, 6)
    if loss > LARGEST_LOSS:
        return (
            f"accuracy is {variant.accuracy:.4f} against {reference.accuracy:.4f} of "
            f"{reference.name}, a loss of {loss * 100:.2f} points; allowed are "
            f"{LARGEST_LOSS * 100:.1f}"
        )
    if not variant.batch_independent:
        return "the features of a face depend on the batch that it is in"
    if not variant.time_ratio < SLOWEST:
        return f"takes {variant.time_ratio:.2f} of the time of {reference.name}: no gain"
    return ""


def choose(precision: Precision, variants: Sequence[Variant]) -> str:
    """Return the name of the format that ships.

    `auto` takes the fastest one without an objection. A format that is asked for by name may be
    slow, as its file is smaller, but it may not be wrong.

    Args:
        precision: what the settings ask for.
        variants: all formats, with `fp32` among them.

    Raises:
        ExportError: the format asked for costs accuracy, or depends on the batch.
    """
    by_name = {variant.name: variant for variant in variants}
    reference = by_name[REFERENCE]
    if precision == "auto":
        able = [v for v in variants if v is not reference and not objection(v, reference)]
        return min((reference, *able), key=lambda v: v.time_ratio).name
    # Its speed is taken out, because it is no reason to refuse what was asked for.
    against = objection(replace(by_name[precision], time_ratio=0.0), reference)
    if precision != REFERENCE and against:
        raise ExportError(f'export.precision is "{precision}", but {against}. Use "fp32"')
    return precision


def _measure(
    encoders: dict[str, Encoder],
    files: dict[str, Path],
    head: Path,
    validation: Faces,
    progress: Progress,
) -> list[Variant]:
    booster = xgboost.Booster()
    booster.load_model(head)
    face = validation.images[:1]
    times = interleaved(
        {name: functools.partial(encoder.encode, face) for name, encoder in encoders.items()},
        REPEATS,
    )
    variants: list[Variant] = []
    for name, encoder in encoders.items():
        features = encode(encoder, validation.images, progress)
        # Calibration leaves the order of the classes as it is, so it is not needed here.
        found = report(validation.labels, booster.inplace_predict(features), EXPRESSIONS)
        variant = Variant(
            name,
            files[name].stat().st_size,
            found["accuracy"],
            found["balanced_accuracy"],
            round(float(np.median(times[name] / times[REFERENCE])), 4),
            _same_alone(encoder, validation.images[:BATCH]),
        )
        against = objection(variant, variants[0]) if variants else ""
        variants.append(replace(variant, note=against or ("may ship" if variants else "reference")))
    return variants


def _same_alone(encoder: Encoder, images: NDArray[np.uint8]) -> bool:
    alone = np.concatenate([encoder.encode(images[i : i + 1]) for i in range(len(images))])
    return bool(np.array_equal(alone, encoder.encode(images)))


def _identity(run: Path) -> str:
    """Return a hash of what the formats were measured with."""
    return hashlib.sha256(
        b"".join(hashlib.sha256((run / name).read_bytes()).digest() for name in (ENCODER, HEAD))
    ).hexdigest()


def _kept(run: Path, name: str) -> Path:
    return run / f"encoder.{name}.onnx"


def _forget(run: Path) -> None:
    """Drop an older decision before the files that it speaks of."""
    found = _read(run)
    if found.pop("variants", None) is not None:
        found.pop("variants_of", None)
        save_report(run, found)
    for path in (*run.glob("encoder.*.onnx"), *run.glob("encoder.*.part")):
        path.unlink()


def _read(run: Path) -> dict[str, Any]:
    """Return `export.json`; nothing for a run that has none.

    Raises:
        RunError: it is damaged.
    """
    path = run / REPORT
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}); export the encoder again") from error
    return found
