"""Turns an exported text encoder into smaller ones: 8-bit integers, or 16-bit weights.

In both the table of word pieces, half of the weights, is kept as 8-bit integers with a scale for
each word piece, which costs no accuracy that could be measured.
"""

import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from training.quantisation import quiet

__all__ = ["to_int8", "to_weights16"]

LEVELS: Final = 127  # of a signed 8-bit integer, to either side
TABLE_ROWS: Final = 1000  # a table with fewer is no table of word pieces


def to_int8(encoder: Path) -> bytes:
    """Return the encoder with matrix products of 8-bit integers (dynamic quantisation).

    Weights have one scale a column and 7 bits: CPUs of x86-64 without VNNI add two products in 16
    bits with saturation, which those of 7-bit weights do not reach. The scale of an activation is
    found while it runs, from all texts of a run: so results depend on which texts are run together,
    unless each is run alone, as `models.text_encoder` does. The classifier, three columns, stays in
    float32.
    """
    with quiet(), tempfile.TemporaryDirectory() as folder:
        prepared, written = Path(folder) / "tables.onnx", Path(folder) / "int8.onnx"
        prepared.write_bytes(_with_small_tables(onnx.load(encoder)).SerializeToString())
        quantize_dynamic(
            prepared,
            written,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
        return written.read_bytes()


def to_weights16(encoder: Path) -> bytes:
    """Return the encoder with weights that are stored in float16 and used in float32.

    ONNX Runtime turns them back when it opens the model, so the speed is that of float32.
    """
    model = _with_small_tables(onnx.load(encoder))
    nodes, kept = [], []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.ndim == 2 and values.shape[1] > 1:
            half = numpy_helper.from_array(values.astype(np.float16), f"{weight.name}_half")
            kept.append(half)
            nodes.append(
                helper.make_node("Cast", [half.name], [weight.name], to=onnx.TensorProto.FLOAT)
            )
        else:
            kept.append(weight)
    _replace(model, [*nodes, *model.graph.node], kept)
    content: bytes = model.SerializeToString()
    return content


def _with_small_tables(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep every large table, from which rows are gathered, as integers and a scale a row."""
    tables = {
        weight.name: weight
        for weight in model.graph.initializer
        if len(weight.dims) == 2 and weight.dims[0] >= TABLE_ROWS
    }
    nodes, made = [], []
    used: set[str] = set()
    for node in model.graph.node:
        if node.op_type != "Gather" or node.input[0] not in tables:
            nodes.append(node)
            continue
        name, rows = node.input[0], node.input[1]
        used.add(name)
        whole, scales = _rowwise(numpy_helper.to_array(tables[name]))
        made += [
            numpy_helper.from_array(whole, f"{name}_int8"),
            numpy_helper.from_array(scales, f"{name}_scale"),
        ]
        nodes += [
            helper.make_node("Gather", [f"{name}_int8", rows], [f"{name}_rows"]),
            helper.make_node(
                "Cast", [f"{name}_rows"], [f"{name}_floats"], to=onnx.TensorProto.FLOAT
            ),
            helper.make_node("Gather", [f"{name}_scale", rows], [f"{name}_scales"]),
            helper.make_node("Mul", [f"{name}_floats", f"{name}_scales"], list(node.output)),
        ]
    _replace(model, nodes, [w for w in model.graph.initializer if w.name not in used] + made)
    return model


def _rowwise(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 [n, k] and scales float32 [n, 1], whose product is nearest to the table."""
    largest = np.abs(table).max(axis=1, keepdims=True)
    scales = np.where(largest > 0, largest / LEVELS, 1).astype(np.float32)
    return np.round(table / scales).astype(np.int8), scales


def _replace(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto]
) -> None:
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)
