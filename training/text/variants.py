"""Tries the text encoder in smaller number formats, and keeps the one that goes into the bundle.

The head is fitted afterwards, on the features of the one that was chosen. A MiniLM-L6 in float32
takes 90 MB, which is more than a bundle may; with 8-bit integers it takes 23 MB and, on two cores
with AVX-512 VNNI, 0.28 of the time of one text.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import ENCODER
from models.observation import SENTIMENTS
from models.runtime import thread_count
from models.text_encoder import Ids, TextEncoder
from training.cost import interleaved
from training.errors import ExportError, RunError
from training.export import REPORT, feature_count, save, save_report
from training.metrics import report
from training.progress import Progress
from training.text.evaluation import softmax
from training.text.formats import to_int8, to_weights16
from training.variants import Variant

__all__ = ["LARGEST_BYTES", "choose", "encode", "objection", "shipped_encoder", "try_variants"]

REFERENCE: Final = "fp32"
LARGEST_LOSS: Final = 0.003  # of balanced accuracy on the validation texts, against fp32
LARGEST_BYTES: Final = 38_000_000  # of an encoder, so that the whole bundle stays below 40 MB
REPEATS: Final = 40
STEP: Final = 256  # texts between two steps of the progress bar
MADE: Final[dict[str, Callable[[Path], bytes]]] = {"fp16": to_weights16, "int8": to_int8}


def try_variants(
    precision: str,
    run: Path,
    ids: Sequence[Ids],
    labels: NDArray[np.int64],
    progress: Progress,
) -> list[Variant]:
    """Measure fp32, fp16 and int8 by the network's own classifier, and keep the chosen file.

    The results are added to `export.json` as `variants`; a format other than fp32 is kept as
    `encoder.NAME.onnx`.

    Args:
        precision: what the settings ask for.
        run: a folder with an exported encoder.
        ids: the word pieces of the validation texts, which choose.
        labels: int64 [n], of the same.
        progress: where steps are reported.

    Returns:
        The formats, fp32 first.

    Raises:
        RunError: the encoder is missing.
        ExportError: the format that is asked for costs too much, or the disk does not take it.
    """
    path = run / ENCODER
    found = _report(run)
    for old in (*run.glob("encoder.*.onnx"), *run.glob("encoder.*.part")):
        old.unlink()
    contents = {REFERENCE: path.read_bytes(), **{name: make(path) for name, make in MADE.items()}}
    parts = {name: run / f"encoder.{name}.onnx.part" for name in contents}
    try:
        for name, content in contents.items():
            save(parts[name], content)
        measured = _measure(parts, feature_count(path), ids, labels, progress)
        chosen = choose(precision, measured)
        if chosen != REFERENCE:
            save(_kept(run, chosen), contents[chosen])
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    variants = [replace(variant, shipped=variant.name == chosen) for variant in measured]
    found["variants"] = [asdict(variant) for variant in variants]
    found["variants_of"] = _sha256(path)
    found["precision"] = precision
    save_report(run, found)
    return variants


def shipped_encoder(run: Path, precision: str) -> Path | None:
    """Return the encoder that goes into the bundle; None where no choice by `precision` was made.

    Raises:
        RunError: there is no encoder at all.
    """
    found = _report(run)
    same = found.get("precision") == precision
    if not same or found.get("variants_of") != _sha256(run / ENCODER):
        return None
    (name,) = (entry["name"] for entry in found["variants"] if entry["shipped"])
    path = run / ENCODER if name == REFERENCE else _kept(run, name)
    return path if path.is_file() else None


def objection(variant: Variant, reference: Variant) -> str:
    """Return why a format may not ship by itself; an empty text when it may."""
    loss = round(reference.balanced_accuracy - variant.balanced_accuracy, 6)
    if loss > LARGEST_LOSS:
        return (
            f"balanced accuracy is {variant.balanced_accuracy:.4f} against "
            f"{reference.balanced_accuracy:.4f} of {reference.name}, a loss of {loss * 100:.2f} "
            f"points; allowed are {LARGEST_LOSS * 100:.1f}"
        )
    if variant.bytes > LARGEST_BYTES:
        return f"takes {variant.bytes / 1e6:.1f} MB; allowed are {LARGEST_BYTES / 1e6:.0f}"
    return ""


def choose(precision: str, variants: Sequence[Variant]) -> str:
    """Return the name of the format that ships; `auto` takes the fastest without an objection.

    Raises:
        ExportError: there is an objection to the one that is asked for, or to all.
    """
    by_name = {variant.name: variant for variant in variants}
    reference = by_name[REFERENCE]
    if precision == "auto":
        able = [variant for variant in variants if not objection(variant, reference)]
        if not able:
            told = "; ".join(f"{v.name}: {objection(v, reference)}" for v in variants)
            raise ExportError(f"no format of the encoder may ship ({told}). Use fewer layers")
        return min(able, key=lambda variant: variant.time_ratio).name
    if against := objection(by_name[precision], reference):
        raise ExportError(f'export.precision is "{precision}", but it {against}. Use "auto"')
    return precision


def encode(path: Path, count: int, ids: Sequence[Ids], progress: Progress) -> NDArray[np.float32]:
    """Return the features float32 [n, count] of texts as word pieces, on all cores."""
    encoder = TextEncoder(path, count)
    features = np.empty((len(ids), count), np.float32)
    progress.start("features", total=len(ids))
    with ThreadPoolExecutor(thread_count(0)) as pool:
        for start in range(0, len(ids), STEP):
            features[start : start + STEP] = encoder.encode(ids[start : start + STEP], pool)
            progress.advance(len(ids[start : start + STEP]))
    progress.finish()
    return features


def _measure(
    files: dict[str, Path],
    count: int,
    ids: Sequence[Ids],
    labels: NDArray[np.int64],
    progress: Progress,
) -> list[Variant]:
    usual = sorted(ids, key=len)[len(ids) // 2]
    encoders = {name: TextEncoder(path, count) for name, path in files.items()}
    times = interleaved(
        {name: functools.partial(encoder.encode, [usual]) for name, encoder in encoders.items()},
        REPEATS,
    )
    variants: list[Variant] = []
    for name, path in files.items():
        logits = encode(path, count, ids, progress)[:, -len(SENTIMENTS) :]
        found = report(labels, softmax(logits), SENTIMENTS)
        variant = Variant(
            name,
            path.stat().st_size,
            found["accuracy"],
            found["balanced_accuracy"],
            round(float(np.median(times[name] / times[REFERENCE])), 4),
        )
        against = objection(variant, (variants or [variant])[0])
        variants.append(replace(variant, note=against or "may ship"))
    return variants


def _report(run: Path) -> dict[str, Any]:
    """Return `export.json`.

    Raises:
        RunError: there is none or it is damaged, or there is no encoder.
    """
    path = run / REPORT
    try:
        if not (run / ENCODER).is_file():
            raise FileNotFoundError(f"no {ENCODER}")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{run}: there is no {ENCODER} with its {REPORT} ({error}); run "
            "`python -m training export` first"
        ) from error
    return found


def _kept(run: Path, name: str) -> Path:
    return run / f"encoder.{name}.onnx"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
