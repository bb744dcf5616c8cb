"""The light model as an ONNX graph: rows of a table, added up.

The table holds multiples of 1 / GRAIN. They are added up in float64, where all sums are exact, and
so are the same in any order and with any filling: the result depends on the text alone, to the bit.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper

from models.text_encoder import IDS

__all__ = ["FACTOR", "to_onnx"]

FACTOR: Final = 31_337  # a prime, so that pairs with one piece in common spread over the buckets
OPSET: Final = 17
FORMAT: Final = 8  # of the file; that of this opset
# Numbers below 256 so rounded are exact in float32, and sums of 2 ** 22 of them in float64.
GRAIN: Final = 1 << 15
TINY: Final = 1e-12  # keeps a text of nothing but unknown pieces from a division by 0


def to_onnx(
    table: NDArray[np.floating[Any]],
    intercept: NDArray[np.floating[Any]],
    vocabulary: int,
    buckets: int,
) -> bytes:
    """Return the model: `ids` int64 [n, t], filled up with 0, to `logits` float32 [n, classes].

    A row of the table is taken for every piece, and for every pair of neighbours the row
    `vocabulary + (first * FACTOR + second) % buckets`. Their sums, but the last, are divided by the
    root of the last.

    Args:
        table: [vocabulary + buckets, classes + 1]; row 0, the filling, becomes zeros.
        intercept: [classes].
        vocabulary: how many word pieces there are.
        buckets: how many rows the pairs share.
    """
    rows = (np.round(table * GRAIN) / GRAIN).astype(np.float32)
    rows[0] = 0
    constants: dict[str, NDArray[Any]] = {
        "table": rows,
        "intercept": np.asarray(intercept, np.float64),
        "factor": np.array(FACTOR, np.int64),
        "buckets": np.array(buckets, np.int64),
        "vocabulary": np.array(vocabulary, np.int64),
        "filling": np.array(0, np.int64),
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "last": np.array([-1], np.int64),
        "end": np.array([np.iinfo(np.int64).max], np.int64),
        "tiny": np.array(TINY, np.float64),
    }
    node = helper.make_node
    # Slices are along the word pieces or along the classes, the second axis in both.
    nodes = [
        node("Slice", [IDS, "zero", "last", "one"], ["first"]),
        node("Slice", [IDS, "one", "end", "one"], ["second"]),
        node("Mul", ["first", "factor"], ["spread"]),
        node("Add", ["spread", "second"], ["pair"]),
        node("Mod", ["pair", "buckets"], ["bucket"]),
        node("Add", ["bucket", "vocabulary"], ["place"]),
        node("Equal", ["second", "filling"], ["filled"]),
        node("Where", ["filled", "filling", "place"], ["pairs"]),
        node("Concat", [IDS, "pairs"], ["places"], axis=1),
        node("Gather", ["table", "places"], ["parts"], axis=0),
        node("Cast", ["parts"], ["exact"], to=TensorProto.DOUBLE),
        node("ReduceSum", ["exact", "one"], ["sums"], keepdims=0),
        node("Slice", ["sums", "zero", "last", "one"], ["scores"]),
        node("Slice", ["sums", "last", "end", "one"], ["square"]),
        node("Max", ["square", "tiny"], ["at_least"]),
        node("Sqrt", ["at_least"], ["length"]),
        node("Div", ["scores", "length"], ["scaled"]),
        node("Add", ["scaled", "intercept"], ["moved"]),
        node("Cast", ["moved"], ["logits"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "light",
        [helper.make_tensor_value_info(IDS, TensorProto.INT64, ["n", "t"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(intercept)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=FORMAT
    )
    checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
