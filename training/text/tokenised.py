"""The texts of a run as word pieces."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.tokens import Tokenizer
from training.text.config import TextConfig
from training.text.network import tokenizer_file
from training.text.tweets import Texts

__all__ = ["Tokenised", "tokenised"]

MASK: Final = "[MASK]"


@dataclass(frozen=True)
class Tokenised:
    """Texts as word pieces.

    Attributes:
        ids: of the texts to learn from.
        labels: of these, int64 [n].
        held: word pieces of the texts that choose the epoch.
        held_labels: of these, int64 [m].
        hidden: the number of the word piece that stands for a hidden one.
    """

    ids: list[list[int]]
    labels: NDArray[np.int64]
    held: list[list[int]]
    held_labels: NDArray[np.int64]
    hidden: int


def tokenised(config: TextConfig, train: Texts, validation: Texts) -> Tokenised:
    """Return the word pieces of the texts to learn from and of those that choose."""
    tokenizer = Tokenizer(tokenizer_file(config.network), config.network.max_tokens)
    return Tokenised(
        [tokens.ids for tokens in tokenizer.encode(train.cleaned)],
        train.labels,
        [tokens.ids for tokens in tokenizer.encode(validation.cleaned)],
        validation.labels,
        tokenizer.number(MASK) if config.finetuning.masked else 0,
    )
