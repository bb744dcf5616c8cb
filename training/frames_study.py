"""The evidence for the detector's defaults and for the crop: variants compared on whole photos.

``python -m training.frames_study --bundle models/face --data frames.tar`` compares them on one half
of the photos, to choose by, and repeats the same figures on the other half. Times are of one thread
of the processor, as ratios to the first variant in the same run; the head's, far below a
millisecond a face, is left out.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray

from models.alignment import align_face
from models.bundle import Bundle, load_bundle
from models.detector import Detector
from models.encoder import Encoder
from models.options import DetectorOptions
from training.datasets.expw_frames import Photo, read
from training.frames import (
    LEAST_IOU,
    Crop,
    FacePixels,
    SeenFace,
    SeenPhoto,
    boxed,
    detection_report,
    half,
    look,
    predictions,
)
from training.metrics import report
from training.progress import Progress

__all__ = ["main", "study"]

# From the longer side of a photo in pixels to the options.
Policy = Callable[[int], DetectorOptions]
BASE: Final = "scale 0.5"
FULL: Final = "scale 1.0"
ALIGNED: Final = "aligned x1.00"
ZOOMS: Final = (1.0, 0.85, 0.9, 0.95, 1.05, 1.1, 1.15)
MARGINS: Final = (0.0, -0.1, 0.1, 0.2)
# The last is of faces whose detection was matched to another label that it overlaps more.
OVERLAPS: Final = {"0": 0.0, "0-0.2": 0.2, "0.2-0.4": LEAST_IOU, "taken": 1.0}
DIGITS: Final = 4


def _fixed(_: int, **options: float) -> DetectorOptions:
    return DetectorOptions.model_validate(options)


def _full_if_small(side: int, largest: int) -> DetectorOptions:
    return DetectorOptions(scale=1 if side <= largest else 0.5)


def _not_under(side: int, least: int) -> DetectorOptions:
    return DetectorOptions(scale=min(1, max(0.5, least / side)))


POLICIES: Final[dict[str, Policy]] = {
    BASE: partial(_fixed, scale=0.5),
    "scale 0.35": partial(_fixed, scale=0.35),
    "scale 0.75": partial(_fixed, scale=0.75),
    FULL: partial(_fixed, scale=1),
    "scale 0.5, full up to 320 px": partial(_full_if_small, largest=320),
    "scale 0.5, not under 320 px": partial(_not_under, least=320),
    "scale 0.5, not under 416 px": partial(_not_under, least=416),
    "scale 0.5, score 0.2": partial(_fixed, scale=0.5, score=0.2),
    "scale 0.5, score 0.3": partial(_fixed, scale=0.5, score=0.3),
    "scale 0.5, score 0.5": partial(_fixed, scale=0.5, score=0.5),
    "scale 0.5, score 0.6": partial(_fixed, scale=0.5, score=0.6),
}


@dataclass
class _Seen:
    """What one policy made of all photos; seconds of detection by photo."""

    photos: list[SeenPhoto] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def study(bundle: Path, data: Path) -> dict[str, Any]:
    """Compare detector settings and crops.

    Args:
        bundle: the folder of a version, or one with `ACTIVE`.
        data: the tar file of `training.datasets.expw_frames`.

    Returns:
        JSON-ready values for each half: `detectors`, `crops` and `misses`.

    Raises:
        AssetError: the detector's weights are not to be had.
        BundleError: the bundle is refused.
        DataError: the data cannot be read.
    """
    checked = load_bundle(bundle)
    photos = read(data)
    seen, rest_seconds = _look_at_all(checked, photos)
    result: dict[str, Any] = {"bundle": checked.manifest.version}
    for part in ("choose", "report"):
        rows = [row for row, photo in enumerate(photos) if half(photo.name) == part]
        halved = {
            name: _Seen([all_.photos[i] for i in rows], [all_.seconds[i] for i in rows])
            for name, all_ in seen.items()
        }
        result[part] = {
            "detectors": _detectors(checked, halved, sum(rest_seconds[i] for i in rows)),
            "crops": _crops(checked, halved[BASE].photos),
            "misses": _misses(halved),
        }
    return result


def _look_at_all(bundle: Bundle, photos: Sequence[Photo]) -> tuple[dict[str, _Seen], list[float]]:
    """Return what each policy saw, and the seconds of decoding, cutting and encoding by photo."""
    detector, encoder = Detector(DetectorOptions(), threads=1), Encoder.of(bundle, threads=1)
    ways = _ways(bundle)
    seen = {name: _Seen() for name in POLICIES}
    rest_seconds = []
    progress = Progress()
    progress.start("photos", total=len(photos))
    for photo in photos:
        start = time.thread_time()
        picture = photo.decode()
        decoding = time.thread_time() - start
        for name, policy in POLICIES.items():
            detector.options = policy(round(max(picture.image.size) * picture.scale))
            start = time.thread_time()
            found = detector.detect([picture])[0]
            seen[name].seconds.append(time.thread_time() - start)
            crops = ways if name == BASE else {ALIGNED: ways[ALIGNED]}
            seen[name].photos.append(look(photo, picture, found, crops))
            if name == BASE:
                start = time.thread_time()
                faces = [FacePixels(picture.image, face.box, face.landmarks) for face in found]
                for face in faces:
                    encoder.encode(ways[ALIGNED](face)[None])
                rest_seconds.append(decoding + time.thread_time() - start)
        progress.advance()
    progress.finish()
    return seen, rest_seconds


def _ways(bundle: Bundle) -> dict[str, Crop]:
    size = bundle.manifest.input_size
    template = np.asarray(bundle.manifest.preprocessing.landmarks)
    zooms = {f"aligned x{zoom:.2f}": 0.5 + zoom * (template - 0.5) for zoom in ZOOMS}
    return {
        **{name: partial(_aligned, template=points, size=size) for name, points in zooms.items()},
        **{f"box {margin:+.0%}": partial(boxed, size=size, margin=margin) for margin in MARGINS},
    }


def _aligned(face: FacePixels, template: NDArray[np.floating], size: int) -> NDArray[np.uint8]:
    return align_face(face.image, face.landmarks, [(x, y) for x, y in template.tolist()], size)


def _detectors(bundle: Bundle, seen: dict[str, _Seen], rest_s: float) -> dict[str, Any]:
    """Judge the policies: what they find, what they cost, and what their landmarks are worth."""
    faces = {name: [f for photo in x.photos for f in photo.faces] for name, x in seen.items()}
    # Landmarks are compared over the faces that every policy found.
    common = [
        all(face.iou is not None for face in row) for row in zip(*faces.values(), strict=True)
    ]
    base_s = sum(seen[BASE].seconds)
    result = {}
    for name, x in seen.items():
        kept = [face for face, shared in zip(faces[name], common, strict=True) if shared]
        seconds = sum(x.seconds)
        result[name] = {
            **{
                key: value
                for key, value in detection_report(x.photos).items()
                if key in ("recall", "mean_iou", "recall_by_width", "n_detections")
            },
            "detection_time": round(seconds / base_s, 2),
            "scoring_time": round((seconds + rest_s) / (base_s + rest_s), 2),
            "agreement_on_common_faces": _agreements(bundle, kept, ALIGNED)[ALIGNED],
        }
    return result


def _crops(bundle: Bundle, photos: Sequence[SeenPhoto]) -> dict[str, Any]:
    matched = [face for photo in photos for face in photo.faces if face.iou is not None]
    return _agreements(bundle, matched, ALIGNED)


def _agreements(bundle: Bundle, faces: Sequence[SeenFace], base: str) -> dict[str, Any]:
    """Return agreement with the noisy labels, and its gain over `base` with a standard error."""
    labels, ways = predictions(bundle, faces)
    result = {}
    for name, probabilities in ways.items():
        found = report(labels, probabilities, bundle.manifest.classes)
        right, reference = (p.argmax(axis=1) == labels for p in (probabilities, ways[base]))
        # The same faces are judged twice, so the error is that of the differences.
        gain = right.astype(float) - reference
        result[name] = {
            "n": len(faces),
            "accuracy": found["accuracy"],
            "balanced_accuracy": found["balanced_accuracy"],
            "gain": round(float(gain.mean()), DIGITS),
            "gain_error": round(float(gain.std() / np.sqrt(len(gain))), DIGITS),
        }
    return result


def _misses(seen: dict[str, _Seen]) -> dict[str, Any]:
    """Say what the faces have in common that the base policy does not match."""
    pairs = [
        (base.name, here, there)
        for base, full in zip(seen[BASE].photos, seen[FULL].photos, strict=True)
        for here, there in zip(base.faces, full.faces, strict=True)
        if here.iou is None
    ]
    overlaps: Counter[str] = Counter()
    for _, here, _ in pairs:
        overlaps[next(name for name, most in OVERLAPS.items() if here.best_iou <= most)] += 1
    return {
        "n": len(pairs),
        "by_best_iou": dict(overlaps),
        "found_at_full_scale": sum(there.iou is not None for _, _, there in pairs),
        "faces": [
            {
                "photo": name,
                "box": here.face.box,
                "best_iou": round(here.best_iou, 2),
                "full_scale_iou": round(there.best_iou, 2),
            }
            for name, here, there in pairs
        ],
    }


def main(
    bundle: Annotated[Path, typer.Option(help="A version, or the folder with ACTIVE.")],
    data: Annotated[Path, typer.Option(help="Photos with boxed faces, as one tar file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare detector settings and crops on whole photos."""
    result = study(bundle, data)
    if as_json:
        typer.echo(json.dumps(result))
        return
    for part in ("choose", "report"):
        for kind in ("detectors", "crops"):
            typer.echo(f"\n{part}: {kind}")
            for name, row in result[part][kind].items():
                short = {k: v for k, v in row.items() if not isinstance(v, dict)}
                typer.echo(f"  {name:<30} {' '.join(f'{k} {v}' for k, v in short.items())}")


if __name__ == "__main__":
    typer.run(main)
