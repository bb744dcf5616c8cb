"""Scores a batch of mixed contents: pictures, texts and faces that were scored at the edge.

`Scorer.score` is the one way from content to observations, live and offline.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.alignment import align_face
from models.bundle import Bundle, load_bundle
from models.detector import Detection, Detector
from models.encoder import Encoder
from models.errors import ContentError
from models.head import Head
from models.observation import Observation, observe_face
from models.options import DetectorOptions, Limits
from models.pictures import Picture, decode_picture

__all__ = ["Content", "Face", "Scored", "Scorer"]

_log = logging.getLogger(__name__)

Box = tuple[int, int, int, int]
# Decoded pictures of one step stay under this, whatever the batch: 32 photos of 50 megapixels
# would be 4.8 GB.
DECODED_BYTES: int = 192 * 1024 * 1024


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
    """

    box: Box | None
    probabilities: tuple[float, ...]
    observation: Observation


@dataclass(frozen=True, slots=True)
class Scored:
    """The result for one content; a picture without a face has none."""

    faces: tuple[Face, ...] = ()

    @property
    def observations(self) -> tuple[Observation, ...]:
        """Return the observation of every face."""
        return tuple(face.observation for face in self.faces)


class Scorer:
    """Detector, encoder and head as one. Not to be shared between threads."""

    def __init__(
        self,
        face_bundle: Bundle,
        detector: DetectorOptions | None = None,
        limits: Limits | None = None,
        threads: int = 0,
    ) -> None:
        """Open all models.

        Raises:
            AssetError: the detector's weights are not to be had.
            BundleError: the bundle does not fit.
        """
        self.limits = limits or Limits()
        self.bundle = face_bundle
        self._template = face_bundle.manifest.preprocessing.landmarks
        self._detector = Detector(detector or DetectorOptions(), threads)
        self._encoder = Encoder(face_bundle, threads)
        self._head = Head(face_bundle, threads)

    @classmethod
    def from_folder(
        cls,
        bundles: Path,
        detector: DetectorOptions | None = None,
        limits: Limits | None = None,
        threads: int = 0,
    ) -> Scorer:
        """Open the active bundles in a folder such as `models`."""
        return cls(load_bundle(bundles / "face"), detector, limits, threads)

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
        results: list[Scored | ContentError] = []
        pending: list[tuple[int, Picture]] = []
        pending_bytes = 0
        for index, content in enumerate(contents):
            result = self._begin(content)
            if isinstance(result, Picture):
                results.append(Scored())
                pending.append((index, result))
                pending_bytes += result.image.width * result.image.height * 3
                if pending_bytes > DECODED_BYTES:
                    self._finish(pending, results)
                    pending, pending_bytes = [], 0
            else:
                results.append(result)
        self._finish(pending, results)
        return results

    def _begin(self, content: Content) -> Picture | Scored | ContentError:
        """Decode a picture, or answer at once where no picture has to be looked at."""
        if content.faces is not None:
            return Scored(tuple(_face(None, row) for row in content.faces))
        if content.image is None:
            return ContentError("no_text_bundle", "there is no text bundle yet")
        try:
            return decode_picture(content.image, self.limits)
        except ContentError as error:
            return error

    def _finish(
        self, pending: Sequence[tuple[int, Picture]], results: list[Scored | ContentError]
    ) -> None:
        """Score decoded pictures and put each result in its place."""
        if not pending:
            return
        found = self._detector.detect([picture for _, picture in pending])
        crops = [
            align_face(picture.image, detection.landmarks, self._template, self._encoder.size)
            for (_, picture), detections in zip(pending, found, strict=True)
            for detection in detections
        ]
        if not crops:
            return
        rows = iter(self._head.predict(self._encoder.encode(np.stack(crops))).tolist())
        for (index, picture), detections in zip(pending, found, strict=True):
            results[index] = Scored(
                tuple(
                    _face(_original_box(detection, picture), tuple(next(rows)))
                    for detection in detections
                )
            )


def _face(box: Box | None, probabilities: tuple[float, ...]) -> Face:
    return Face(box, probabilities, observe_face(probabilities))


def _original_box(detection: Detection, picture: Picture) -> Box:
    left, top, right, bottom = (round(value * picture.scale) for value in detection.box)
    return left, top, right, bottom
