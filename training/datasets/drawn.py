"""Drawn faces, so that the pipeline can be tried without any data set.

Eyes, brows and a mouth are drawn where aligned faces have them. They are told apart by the shape of
brows, eyes and mouth, as drawings are; what is learnt from them says nothing about photographs.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from models.bundle import ALIGNED_LANDMARKS
from models.observation import EXPRESSIONS
from training.datasets.faces import Sample, Split

TITLE: Final = "drawn faces"
TERMS: Final = "none: drawn by this project"
CLASSES: Final[Mapping[str, str | None]] = {name: name for name in EXPRESSIONS}
SIDE: Final = 96  # pixels
COUNTS: Final[Mapping[Split, int]] = {"train": 40, "validation": 10, "test": 10}  # a class


@dataclass(frozen=True)
class _Look:
    """One expression: all lengths are shares of the side."""

    brow_tilt: float  # rise of the inner end
    brow_height: float  # above the eye
    eye: float  # half of its height
    mouth_curve: float  # depth of the corners below the middle; negative is a smile
    mouth_open: float  # half of its height
    skew: float = 0.0  # one corner of the mouth higher


LOOKS: Final = {
    "surprise": _Look(0.00, 0.15, 0.050, 0.00, 0.085),
    "fear": _Look(0.05, 0.14, 0.050, 0.03, 0.030),
    "disgust": _Look(-0.02, 0.08, 0.018, 0.03, 0.012, skew=0.05),
    "happiness": _Look(0.00, 0.11, 0.025, -0.08, 0.020),
    "sadness": _Look(0.06, 0.10, 0.022, 0.07, 0.000),
    "anger": _Look(-0.07, 0.07, 0.028, 0.04, 0.000),
    "neutral": _Look(0.00, 0.10, 0.030, 0.00, 0.000),
}


def samples(path: Path, split: Split) -> Iterator[Sample]:
    """Draw the faces of one split, always the same ones; `path` is not used."""
    del path
    for number in range(COUNTS[split]):
        for label, name in enumerate(EXPRESSIONS):
            seed = np.random.SeedSequence([list(COUNTS).index(split), number, label])
            rng = np.random.default_rng(seed)
            yield Sample(f"{split}-{name}-{number:03}", _draw(LOOKS[name], rng), name)


def _draw(look: _Look, rng: np.random.Generator) -> NDArray[np.uint8]:
    size = SIDE * 4  # drawn large and reduced, which smooths the edges
    dark, light = np.array((85, 55, 40)), np.array((250, 220, 195))
    skin = (dark + rng.random() * (light - dark)).astype(int)
    back = rng.integers(20, 235, 3)
    image = Image.new("RGB", (size, size), tuple(map(int, back)))
    draw = ImageDraw.Draw(image)
    ink = tuple(int(value * 0.3) for value in skin)
    width = round(size * rng.uniform(0.02, 0.035))
    vary = rng.normal(0, 0.006, 6)

    def at(x: float, y: float) -> tuple[float, float]:
        return x * size, y * size

    draw.ellipse([at(0.06, -0.08), at(0.94, 1.06)], fill=tuple(map(int, skin)))
    (left, eye_y), (right, _), (_, nose_y), (mouth_l, mouth_y), (mouth_r, _) = ALIGNED_LANDMARKS
    for x, side in ((left, 1), (right, -1)):
        half = max(0.008, look.eye + vary[0])
        draw.ellipse([at(x - 0.07, eye_y - half), at(x + 0.07, eye_y + half)], fill="white")
        pupil = min(half, 0.028)
        draw.ellipse([at(x - pupil, eye_y - pupil), at(x + pupil, eye_y + pupil)], fill=ink)
        y, tilt = eye_y - look.brow_height + vary[1], look.brow_tilt + vary[2]
        draw.line(
            [at(x - side * 0.09, y + tilt / 2), at(x + side * 0.09, y - tilt / 2)], ink, width
        )
    draw.line([at(0.5, nose_y - 0.12), at(0.52, nose_y), at(0.48, nose_y)], ink, width // 2)
    xs = np.linspace(mouth_l, mouth_r, 21)
    arch = np.cos(np.linspace(-math.pi / 2, math.pi / 2, 21))  # 0 at the corners, 1 in the middle
    curve, half = look.mouth_curve + vary[3], max(0.0, look.mouth_open + vary[4])
    middle = mouth_y + curve / 2 - curve * arch + look.skew * np.linspace(-0.5, 0.5, 21)
    lips = [at(x, y) for x, y in zip(xs, middle - half * arch, strict=True)]
    lips += [at(x, y) for x, y in zip(xs[::-1], (middle + half * arch)[::-1], strict=True)]
    draw.polygon(lips, fill=(90, 20, 30))
    draw.line(lips, ink, width)
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    noisy = pixels * rng.uniform(0.75, 1.15) + rng.normal(0, 6, pixels.shape)
    return noisy.clip(0, 255).astype(np.uint8)
