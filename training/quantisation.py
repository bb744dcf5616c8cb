"""Turns an exported encoder into one that computes in float16 or in 8-bit integers."""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from models.bundle import Preprocessing

__all__ = ["quiet", "to_float16", "to_int8"]

PERCENTILE: Final = 99.99  # of the values of an activation lie within its range
# Convolutions from the pixels on that stay in float32: of a Lite0 the stem and two blocks. With
# one, features were off by 0.094 (norm, against fp32), with six by 0.042 for 1.05 of the time; the
# loss on 981 validation faces was 0.425 and 0.417, and 0.416 in fp32.
FIRST: Final = 6
BATCH: Final = 8  # faces at once while ranges are learnt


def to_float16(encoder: Path) -> bytes:
    """Return the encoder with float16 weights and arithmetic; input and output stay float32."""
    with quiet(), tempfile.TemporaryDirectory() as folder:
        model = onnx.load(_prepared(encoder, Path(folder)))
        with warnings.catch_warnings():
            # Some releases warn that weights below float16's smallest number become that number:
            # harmless, and counted in the accuracy that is measured afterwards.
            warnings.filterwarnings("ignore", message="the float32 number")
            half = convert_float_to_float16(model, keep_io_types=True)
    content: bytes = half.SerializeToString()
    return content


def to_int8(encoder: Path, images: NDArray[np.uint8]) -> bytes:
    """Return the encoder with 8-bit activations and 7-bit weights, one scale a channel.

    Weights of 8 bits would be a little more exact, but x86-64 CPUs without VNNI add two products
    in 16 bits with saturation, which then gives other features on those. Products of 7-bit weights
    fit. The first convolutions, and all from the last one on, which makes the features, stay in
    float32: they take little time, and their errors count most (see `FIRST`).

    Args:
        encoder: the float32 encoder.
        images: faces from which the ranges of the activations are learnt, uint8
            [n, side, side, 3].
    """
    with quiet(), tempfile.TemporaryDirectory() as folder:
        prepared, written = _prepared(encoder, Path(folder)), Path(folder) / "int8.onnx"
        quantize_static(
            prepared,
            written,
            _Faces(images),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            calibrate_method=CalibrationMethod.Percentile,
            nodes_to_exclude=_sensitive(onnx.load(prepared)),
            extra_options={"CalibPercentile": PERCENTILE},
        )
        return written.read_bytes()


class _Faces(CalibrationDataReader):  # type: ignore[misc]
    """Gives the faces, prepared as the encoder takes them, in batches."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        preprocessing = Preprocessing()
        mean, scale = np.float32(preprocessing.mean), np.float32(preprocessing.scale)
        size = min(BATCH, len(images))  # all of one size, which the tool demands
        self._batches = (
            {"images": (images[at : at + size].transpose(0, 3, 1, 2) - mean) / scale}
            for at in range(0, len(images) - size + 1, size)
        )

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch, or None after the last."""
        return next(self._batches, None)


def _prepared(encoder: Path, folder: Path) -> Path:
    """Simplify the graph, without anything that depends on this CPU, and infer its shapes."""
    prepared = folder / "prepared.onnx"
    # The symbolic inference is for transformers; these shapes are known without it.
    quant_pre_process(encoder, prepared, skip_symbolic_shape=True)
    return prepared


def _sensitive(model: onnx.ModelProto) -> list[str]:
    """Return the names of all nodes to the last of the first convolutions, and from the last on."""
    nodes = list(model.graph.node)
    convolutions = [at for at, node in enumerate(nodes) if node.op_type == "Conv"]
    early = convolutions[:-1][:FIRST][-1:]
    kept = (*nodes[: early[0] + 1 if early else 0], *nodes[convolutions[-1] :])
    return [node.name for node in kept]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the tools from printing to standard output, which is for results, and from logging."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
