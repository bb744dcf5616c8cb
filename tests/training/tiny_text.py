"""Tiny texts, and a Transformer of a few hundred weights, so that all stages take seconds."""

from pathlib import Path

import tokenizers
import torch
from tokenizers import models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from training.text.written import FRAMES, THINGS, written

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

CONFIG = """
kind = "text"
[data]
path = "tweets"
terms = "of these tests"
[network]
weights = "{weights}"
max_tokens = 24
[finetuning]
epochs = 2
batch_size = 16
learning_rate = 5e-3
ema_decay = 0.5
precision = "fp32"
[head]
search = false
max_rounds = 8
[light]
buckets = 64
fewest = 1
regularisation = [1.0]
[classical]
search = false
max_features = 200
tree_features = 100
rounds = 3
trees = 3
"""


def write_weights(folder: Path) -> Path:
    """Write a network and its tokenizer in the layout of Hugging Face."""
    folder.mkdir(parents=True)
    words = {word for frames in FRAMES.values() for frame in frames for word in frame.split()}
    words |= {word for things in THINGS.values() for thing in things for word in thing.split()}
    pieces = sorted({part.lower() for word in words for part in word.replace(",", " ,").split()})
    vocabulary = {piece: row for row, piece in enumerate((*SPECIAL, *pieces))}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token=SPECIAL[1]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def write_splits(folder: Path) -> Path:
    """Write the three files of a data set."""
    folder.mkdir(parents=True)
    for split in THINGS:
        lines = [f"{label}\t{text}\n" for label, text in written(split)]
        (folder / f"{split}.tsv").write_text("label\ttext\n" + "".join(lines), encoding="utf-8")
    return folder


def write_config(path: Path, weights: Path, more: str = "") -> Path:
    """Write settings with which all stages take seconds."""
    path.write_text(CONFIG.format(weights=weights) + more, encoding="utf-8")
    return path
