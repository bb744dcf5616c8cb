"""Scores a batch of mixed contents: pictures, texts and faces that were scored at the edge.

`Scorer.score` is the one way from content to observations, live and offline.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.alignment import align_face
from models.bundle import Bundle, load_bundle
from models.detector import LARGEST_BATCH, Detection, Detector
from models.encoder import BATCH_SIZES, Encoder
from models.errors import ContentError
from models.head import Head
from models.observation import Observation, observe_face
from models.options import DetectorOptions, Limits
from models.pictures import Picture, decode_picture
from models.runtime import thread_count

__all__ = ["Content", "Face", "Scored", "Scorer"]

Box = tuple[int, int, int, int]
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Content:
    """What one event carries; at least one part is not None.

    Attributes:
        image: an encoded picture.
        text: one text.
        faces: probabilities in the order of `EXPRESSIONS`, one row a face, scored elsewhere.
    """

    image: bytes | None = None
    text: str | None = None
    faces: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Face:
    """One scored face.

    Attributes:
        box: left, top, right, bottom in pixels of the original picture; None if scored elsewhere.
        probabilities: seven calibrated floats in the order of `EXPRESSIONS`.
        observation: the same as integers.
        crop: the aligned face, uint8 RGB of shape (n, n, 3); None unless the scorer keeps crops.
    """

    box: Box | None
    probabilities: tuple[float, ...]
    observation: Observation
    # Neither compared, since arrays have no one answer, nor shown: it would be in a log.
    crop: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Scored:
    """The result for one content; a picture without a face has none."""

    faces: tuple[Face, ...] = ()

    @property
    def observations(self) -> tuple[Observation, ...]:
        """Return the observation of every face."""
        return tuple(face.observation for face in self.faces)


@dataclass(frozen=True, slots=True)
class _Found:
    """The faces of one picture: their boxes, and their aligned crops (n, size, size, 3)."""

    boxes: list[Box]
    crops: list[NDArray[np.uint8]]


class Scorer:
    """Detector, encoder and head as one.

    Several pictures are worked on at once, each by one thread: that uses the cores better than
    all threads on one picture. The work is outside Python's lock, in Pillow and ONNX Runtime.
    """

    def __init__(
        self,
        face_bundle: Bundle,
        detector: DetectorOptions | None = None,
        limits: Limits | None = None,
        threads: int = 0,
        *,
        keep_crops: bool = False,
    ) -> None:
        """Open all models.

        Args:
            face_bundle: encoder, head and calibration.
            detector: how faces are looked for.
            limits: what one picture may cost.
            threads: how many pictures are worked on at once; 0 takes the cores.
            keep_crops: whether results carry the aligned faces.

        Raises:
            AssetError: the detector's weights are not to be had.
            BundleError: the bundle does not fit.
        """
        self.limits = limits or Limits()
        self.bundle = face_bundle
        self._template = face_bundle.manifest.preprocessing.landmarks
        self._keep_crops = keep_crops
        self._threads = thread_count(threads)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="scorer")
        self._detector = Detector(detector or DetectorOptions(), threads=1)
        self._encoder = Encoder.of(face_bundle, threads=1)
        self._head = Head(face_bundle, self._threads)

    @classmethod
    def from_folder(
        cls,
        bundles: Path,
        detector: DetectorOptions | None = None,
        limits: Limits | None = None,
        threads: int = 0,
        *,
        keep_crops: bool = False,
    ) -> Scorer:
        """Open the active bundles in a folder such as `models`."""
        face = load_bundle(bundles / "face")
        return cls(face, detector, limits, threads, keep_crops=keep_crops)

    @property
    def versions(self) -> dict[str, str | None]:
        """Return the version of each bundle in use; None where there is none."""
        return {"face": self.bundle.manifest.version, "text": None}

    def score(self, contents: Sequence[Content]) -> list[Scored | ContentError]:
        """Score contents in one go.

        Returns:
            One entry per content, in order: its result, or why it cannot be used. One broken
            content does not touch the others.
        """
        found = iter(self._find([c.image for c in contents if c.faces is None and c.image]))
        results: list[Scored | ContentError | _Found] = []
        for content in contents:
            if content.faces is not None:
                results.append(Scored(tuple(_face(None, None, row) for row in content.faces)))
            elif content.image:
                results.append(next(found))
            else:
                results.append(ContentError("no_text_bundle", "there is no text bundle yet"))
        crops = [crop for x in results if isinstance(x, _Found) for crop in x.crops]
        rows = iter(self._classify(crops))
        return [
            self._scored(result, rows) if isinstance(result, _Found) else result
            for result in results
        ]

    def _find(self, images: Sequence[bytes]) -> Iterator[_Found | ContentError]:
        """Decode pictures, find their faces and align them."""
        size = min(LARGEST_BATCH, -(-len(images) // self._threads))
        return chain.from_iterable(self._pool.map(self._find_in_batch, _cut(images, size)))

    def _find_in_batch(self, images: Sequence[bytes]) -> list[_Found | ContentError]:
        decoded: list[Picture | ContentError] = []
        for image in images:
            try:
                decoded.append(decode_picture(image, self.limits))
            except ContentError as error:
                decoded.append(error)
        pictures = [picture for picture in decoded if isinstance(picture, Picture)]
        detections = iter(self._detector.detect(pictures))
        return [
            self._align(picture, next(detections)) if isinstance(picture, Picture) else picture
            for picture in decoded
        ]

    def _align(self, picture: Picture, detections: Sequence[Detection]) -> _Found:
        size, template = self._encoder.size, self._template
        return _Found(
            [_original_box(detection, picture) for detection in detections],
            [align_face(picture.image, face.landmarks, template, size) for face in detections],
        )

    def _scored(self, found: _Found, rows: Iterator[tuple[float, ...]]) -> Scored:
        return Scored(
            tuple(
                _face(box, crop if self._keep_crops else None, next(rows))
                for box, crop in zip(found.boxes, found.crops, strict=True)
            )
        )

    def _classify(self, crops: Sequence[NDArray[np.uint8]]) -> list[tuple[float, ...]]:
        """Return the calibrated probabilities of each crop."""
        if not crops:
            return []
        size = min(max(BATCH_SIZES), -(-len(crops) // self._threads))
        batches = [np.stack(batch) for batch in _cut(crops, size)]
        features = np.concatenate(list(self._pool.map(self._encoder.encode, batches)))
        return [tuple(row) for row in self._head.predict(features).tolist()]


def _cut(items: Sequence[ItemT], size: int) -> list[Sequence[ItemT]]:
    """Cut items into runs of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), max(1, size))]


def _face(
    box: Box | None, crop: NDArray[np.uint8] | None, probabilities: tuple[float, ...]
) -> Face:
    return Face(box, probabilities, observe_face(probabilities), crop)


def _original_box(detection: Detection, picture: Picture) -> Box:
    left, top, right, bottom = (round(value * picture.scale) for value in detection.box)
    return left, top, right, bottom
