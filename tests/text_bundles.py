"""Two tiny text bundles for tests: `tiny` in the shape of a Transformer's, and `light`.

Both know a handful of words. `tiny` takes the mean of the word pieces' vectors, as a Transformer
with mean pooling does, and has an XGBoost head; `light` sums three numbers a word and has none.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import tokenizers
import xgboost
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import models as pieces
from tokenizers import normalizers, pre_tokenizers, processors

import models
from models.bundle import CALIBRATION, CARD, ENCODER, HEAD, TOKENIZER, write_manifest
from models.observation import SENTIMENTS

__all__ = ["LIGHT", "TINY", "WORDS", "sentence", "write_bundles"]

TINY: Final = "tiny-1"
LIGHT: Final = "light-1"
WORDS: Final = {
    "negative": ("hate", "awful", "sad", "terrible", "angry", "broken", "crying"),
    "neutral": ("the", "train", "meeting", "is", "at", "noon", "table", "a", "face"),
    "positive": ("love", "great", "happy", "wonderful", "thanks", "joy", "grinning"),
}
SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
# The end of a word that is cut in two, so that there are word pieces.
ENDINGS: Final = ("##ly", "##s", "##ing")
MAX_TOKENS: Final = 16
WIDTH: Final = 8


def sentence(generator: random.Random, sentiment: str, length: int = 5) -> str:
    """Return a sentence that is mostly of one sentiment."""
    own = WORDS[sentiment]
    words = [generator.choice(own) for _ in range(max(1, length // 2))]
    words += [generator.choice(WORDS["neutral"]) for _ in range(length - len(words))]
    generator.shuffle(words)
    return " ".join(words)


def write_bundles(root: Path) -> Path:
    """Write both into `root/text`, `tiny` in use, beside the face bundle of the package."""
    _write_light(root / "text" / LIGHT)
    _write_tiny(root / "text" / TINY)
    (root / "text" / "ACTIVE").write_text(f"{TINY}\n")
    (root / "face").symlink_to(Path(models.__file__).parent / "face")
    return root


def _write_light(folder: Path) -> None:
    folder.mkdir(parents=True)
    table = _table()
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axis"], ["features"], keepdims=0),
    ]
    _write_encoder(folder, nodes, table * 2, ["ids"], table.shape[1])
    _write_rest(folder, head="softmax", version=LIGHT, features=3)


def _write_tiny(folder: Path) -> None:
    folder.mkdir(parents=True)
    drawn = np.random.default_rng(5).normal(0, 0.1, (len(_vocabulary()), WIDTH))
    table = drawn.astype(np.float32)
    table[:, :3] += _table()
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Cast", ["mask"], ["shown"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["shown", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "axis"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["column", "axis"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["features"]),
    ]
    _write_encoder(folder, nodes, table, ["ids", "mask"], WIDTH)
    _write_head(folder / HEAD, table)
    _write_rest(folder, head="xgboost", version=TINY, features=WIDTH)


def _write_head(path: Path, table: NDArray[np.float32]) -> None:
    """Fit a few trees on sentences of known sentiment, as the encoder sees them."""
    generator = random.Random(3)
    numbers = {word: number for number, word in enumerate(_vocabulary())}
    rows, labels = [], []
    for index in range(300):
        sentiment = SENTIMENTS[index % 3]
        words = sentence(generator, sentiment, generator.randrange(2, 10)).split()
        ids = [numbers["[CLS]"], *map(numbers.__getitem__, words), numbers["[SEP]"]]
        rows.append(table[ids].mean(0))
        labels.append(index % 3)
    booster = xgboost.train(
        {"objective": "multi:softprob", "num_class": 3, "max_depth": 3, "seed": 1, "nthread": 1},
        xgboost.DMatrix(np.array(rows), np.array(labels)),
        num_boost_round=12,
    )
    booster.save_model(path)


def _table() -> NDArray[np.float32]:
    """Return what each word piece says for each sentiment, float32 [pieces, 3]."""
    vocabulary = _vocabulary()
    table = np.zeros((len(vocabulary), 3), np.float32)
    for column, sentiment in enumerate(SENTIMENTS):
        for word in WORDS[sentiment]:
            table[vocabulary.index(word), column] = 0.4 if sentiment == "neutral" else 1
    return table


def _vocabulary() -> list[str]:
    return [*SPECIAL, *(word for words in WORDS.values() for word in words), *ENDINGS]


def _write_encoder(
    folder: Path,
    nodes: list[onnx.NodeProto],
    table: NDArray[np.float32],
    inputs: list[str],
    width: int,
) -> None:
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info(x, TensorProto.INT64, ["n", "t"]) for x in inputs],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", width])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([1]), "axis"),
            numpy_helper.from_array(np.array([2]), "last"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, folder / ENCODER)


def _write_rest(folder: Path, *, head: str, version: str, features: int) -> None:
    vocabulary = {word: number for number, word in enumerate(_vocabulary())}
    tokenizer = tokenizers.Tokenizer(pieces.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(mark, vocabulary[mark]) for mark in ("[CLS]", "[SEP]")],
    )
    tokenizer.save(str(folder / TOKENIZER))
    (folder / CALIBRATION).write_text(json.dumps({"temperature": 1.25}))
    (folder / CARD).write_text("# A tiny bundle for tests\n")
    fields: dict[str, Any] = {
        "name": "text",
        "version": version,
        "created": datetime(2026, 11, 26, tzinfo=UTC),
        "architecture": "sums of word vectors",
        "classes": SENTIMENTS,
        "preprocessing": {"cleaning": {}, "max_tokens": MAX_TOKENS},
        "head": head,
        "feature_count": features,
        "training_data": [
            {"name": "made up", "split": "train", "items": 300, "terms": "of this project"}
        ],
        "metrics": {},
    }
    write_manifest(folder, **fields)
