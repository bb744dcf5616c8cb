"""Scores a batch of mixed contents: pictures, texts and faces that were scored at the edge.

`Scorer.score` is the one way from content to observations, live and offline.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.alignment import align_face
from models.bundle import Bundle, TextBundle, load_bundle, load_text_bundle, text_folder
from models.detector import LARGEST_BATCH, Detection, Detector
from models.errors import ContentError
from models.faces import FaceRow, FaceScorer
from models.observation import Observation, observe_face
from models.options import DetectorOptions, Limits, TextOptions
from models.pictures import Picture, decode_picture
from models.reference import Coordinates
from models.runtime import lower_priority, thread_count
from models.texts import Text, TextScorer

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
        coordinates: its place in the bundle's reference; None without one, or if scored elsewhere.
    """

    box: Box | None
    probabilities: tuple[float, ...]
    observation: Observation
    # Neither compared, since arrays have no one answer, nor shown: it would be in a log.
    crop: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)
    coordinates: Coordinates | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Scored:
    """The result for one content; a picture without a face has none."""

    faces: tuple[Face, ...] = ()
    text: Text | None = None

    @property
    def observations(self) -> tuple[Observation, ...]:
        """Return the observation of every face, and of the text."""
        faces = tuple(face.observation for face in self.faces)
        return faces if self.text is None else (*faces, self.text.observation)


@dataclass(frozen=True, slots=True)
class _Found:
    """The faces of one picture: their boxes, and their aligned crops (n, size, size, 3)."""

    boxes: list[Box]
    crops: list[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is known of one content: its faces, or where they are, and its text."""

    faces: tuple[Face, ...] = ()
    found: _Found | None = None
    text: Text | None = None


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
        text_bundle: TextBundle | None = None,
    ) -> None:
        """Open all models.

        Args:
            face_bundle: encoder, head and calibration.
            detector: how faces are looked for.
            limits: what one picture may cost.
            threads: how many pictures are worked on at once; 0 takes the cores.
            keep_crops: whether results carry the aligned faces.
            text_bundle: what scores texts; without it they are refused.

        Raises:
            AssetError: the detector's weights are not to be had.
            BundleError: the bundle does not fit.
        """
        self.limits = limits or Limits()
        self._keep_crops = keep_crops
        self._threads = thread_count(threads)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="scorer")
        self._detector = Detector(detector or DetectorOptions(), threads=1)
        self.faces = FaceScorer(face_bundle, self._threads, self._pool)
        self.texts = (
            TextScorer(text_bundle, self._threads, self._pool) if text_bundle is not None else None
        )

    @classmethod
    def from_folder(
        cls,
        bundles: Path,
        detector: DetectorOptions | None = None,
        limits: Limits | None = None,
        threads: int = 0,
        *,
        keep_crops: bool = False,
        text: TextOptions | None = None,
    ) -> Scorer:
        """Open the bundles in use in a folder such as `models`."""
        face = load_bundle(bundles / "face")
        texts = text_folder(bundles, text)
        return cls(
            face,
            detector,
            limits,
            threads,
            keep_crops=keep_crops,
            text_bundle=None if texts is None else load_text_bundle(texts),
        )

    def with_bundles(
        self, face_bundle: Bundle | None = None, text_bundle: TextBundle | None = None
    ) -> Scorer:
        """Return a scorer with other bundles, that shares the rest; both may score at once.

        Raises:
            BundleError: a bundle does not fit.
        """
        other = copy.copy(self)
        if face_bundle is not None:
            other.faces = FaceScorer(face_bundle, self._threads, self._pool)
        if text_bundle is not None:
            other.texts = TextScorer(text_bundle, self._threads, self._pool)
        return other

    def aside(self, face_bundle: Bundle | None, text_bundle: TextBundle | None) -> Scorer:
        """Return one on a thread of low priority, with the detector and, unless given, the faces.

        Raises:
            BundleError: a bundle does not fit.
        """
        other = copy.copy(self)
        other._threads, other._keep_crops = 1, False
        other._pool = ThreadPoolExecutor(1, "aside", initializer=lower_priority)
        if face_bundle is not None:
            other.faces = FaceScorer(face_bundle, 1, other._pool)
        other.texts = TextScorer(text_bundle, 1, other._pool) if text_bundle is not None else None
        return other

    @property
    def bundle(self) -> Bundle:
        """The face bundle."""
        return self.faces.bundle

    @property
    def versions(self) -> dict[str, str | None]:
        """Return the version of each bundle in use; None where there is none."""
        text = self.texts.bundle.manifest.version if self.texts is not None else None
        return {"face": self.bundle.manifest.version, "text": text}

    def score(self, contents: Sequence[Content]) -> list[Scored | ContentError]:
        """Score contents in one go.

        Returns:
            One entry per content, in order: its result, or why it cannot be used. One broken
            content does not touch the others.
        """
        found = iter(self._find([c.image for c in contents if c.faces is None and c.image]))
        texts = iter(self._read([c.text for c in contents if c.faces is None and c.text]))
        results: list[_Parts | ContentError] = []
        for content in contents:
            if content.faces is not None:
                results.append(_Parts(tuple(_face((row, None)) for row in content.faces)))
                continue
            picture = next(found) if content.image else None
            text = next(texts) if content.text else None
            results.append(_together(picture, text))
        crops = [c for x in results if isinstance(x, _Parts) and x.found for c in x.found.crops]
        rows = iter(self.faces.score(crops))
        return [
            self._scored(result, rows) if isinstance(result, _Parts) else result
            for result in results
        ]

    def _read(self, texts: Sequence[str]) -> Sequence[Text | ContentError]:
        """Score texts."""
        if not texts:
            return []
        if self.texts is None:
            return [ContentError("no_text_bundle", "no text bundle is in use")] * len(texts)
        return self.texts.score(texts)

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
        size, template = self.faces.size, self.bundle.manifest.preprocessing.landmarks
        return _Found(
            [_original_box(detection, picture) for detection in detections],
            [align_face(picture.image, face.landmarks, template, size) for face in detections],
        )

    def _scored(self, parts: _Parts, rows: Iterator[FaceRow]) -> Scored:
        faces = parts.faces
        if parts.found is not None:
            faces = tuple(
                _face(next(rows), box, crop if self._keep_crops else None)
                for box, crop in zip(parts.found.boxes, parts.found.crops, strict=True)
            )
        return Scored(faces, parts.text)


def _together(
    picture: _Found | ContentError | None, text: Text | ContentError | None
) -> _Parts | ContentError:
    """Join the parts of one content; beside a picture, a text may be one that cannot be scored."""
    if isinstance(picture, ContentError):
        return picture
    if picture is not None:
        return _Parts(found=picture, text=text if isinstance(text, Text) else None)
    if isinstance(text, Text):
        return _Parts(text=text)
    return text or ContentError("empty_text", "the text has nothing but white space")


def _cut(items: Sequence[ItemT], size: int) -> list[Sequence[ItemT]]:
    """Cut items into runs of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), max(1, size))]


def _face(row: FaceRow, box: Box | None = None, crop: NDArray[np.uint8] | None = None) -> Face:
    probabilities, coordinates = row
    return Face(box, probabilities, observe_face(probabilities), crop, coordinates)


def _original_box(detection: Detection, picture: Picture) -> Box:
    left, top, right, bottom = (round(value * picture.scale) for value in detection.box)
    return left, top, right, bottom
