"""Writes the fine-tuned text encoder as ONNX, and proves that it computes what the network does."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.bundle import ENCODER
from models.text_encoder import IDS, MASK, TextEncoder
from models.tokens import Tokenizer
from training import checkpoint
from training.errors import ExportError, RunError
from training.export import (
    COMPARED,
    OPSET,
    PARITY,
    clear,
    feature_count,
    save,
    save_report,
)
from training.text.batches import padded
from training.text.config import TextConfig
from training.text.finetuning import is_finished
from training.text.network import SentimentNetwork, build, tokenizer_file

__all__ = ["export", "to_onnx"]


def export(config: TextConfig, run: Path, texts: tuple[str, ...]) -> Path:
    """Write `encoder.onnx` and `export.json` into the run from its best weights.

    Inputs `ids` and `mask`: int64 [n, t]. Output `features`: float32 [n, width + 3], the mean of
    the word pieces' vectors and after it the logits of the network's own classifier. The encoder
    appears only after it has passed the comparison; an older one goes first, so that a failure
    leaves none.

    Args:
        config: all settings of the run.
        run: a folder with a finished fine-tuning.
        texts: real texts, cleaned, of which the first `COMPARED` are encoded both ways.

    Returns:
        The path of the encoder. `export.json` beside it holds `parity` (the largest difference),
        `compared` texts, `features` of the output and `bytes` of the file.

    Raises:
        RunError: there are no usable weights.
        ExportError: the two encoders differ by more than `PARITY`, or the disk does not take it.
    """
    network = _best(config, run)
    clear(run)
    if not texts:
        raise ExportError("there is no text to compare the encoder on")
    tokenizer = Tokenizer(tokenizer_file(config.network), config.network.max_tokens)
    ids = [tokens.ids for tokens in tokenizer.encode(texts[:COMPARED])]
    with torch.inference_mode():
        expected = torch.cat(network(*padded(ids)), dim=1).float().numpy()
    part = run / f"{ENCODER}.part"
    try:
        save(part, to_onnx(network))
        features = TextEncoder(part, feature_count(part)).encode(ids)
        parity = float(np.abs(features - expected).max())
        if not parity <= PARITY:  # also when it is no number
            raise ExportError(
                f"the exported encoder differs from the network by {parity:.1e} in a feature, "
                f"allowed is {PARITY:.0e}"
            )
        found = {
            "parity": parity,
            "compared": len(ids),
            "features": expected.shape[1],
            "bytes": part.stat().st_size,
        }
        # Before the encoder, which is what says that the stage is done.
        save_report(run, found)
        return part.replace(run / ENCODER)
    finally:
        part.unlink(missing_ok=True)


def to_onnx(network: SentimentNetwork) -> bytes:
    """Return a network as ONNX; it is left in evaluation mode.

    Raises:
        ExportError: the disk for temporary files is full.
    """
    encoder = network.encoder
    flat = _Flat(network).eval()
    example = (torch.ones(2, 7, dtype=torch.int64), torch.ones(2, 7, dtype=torch.int64))
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / ENCODER
        try:
            network.encoder = _PlainAttention(encoder).eval()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the exporter warns of its own age
                torch.onnx.export(
                    flat,
                    example,
                    str(written),
                    input_names=[IDS, MASK],
                    output_names=["features"],
                    opset_version=OPSET,
                    dynamic_axes={
                        IDS: {0: "n", 1: "t"},
                        MASK: {0: "n", 1: "t"},
                        "features": {0: "n"},
                    },
                    dynamo=False,  # the tracing exporter writes one file
                )
            return written.read_bytes()
        except OSError as error:
            raise ExportError(f"cannot write {written}: {error.strerror or error}") from error
        finally:
            network.encoder = encoder


class _Flat(nn.Module):
    """Embedding and logits of a network side by side."""

    def __init__(self, network: SentimentNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return torch.cat(self.network(ids, mask), dim=1)


class _PlainAttention(nn.Module):
    """An encoder whose attention is written out, with the mask made in a few nodes.

    The library's own mask is made by code that cannot be traced for all lengths.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        encoder.set_attn_implementation("eager")  # type: ignore[operator]
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> object:
        hidden = 1.0 - attention_mask[:, None, None, :].float()
        hidden = hidden * torch.finfo(torch.float32).min
        return self.encoder(input_ids=input_ids, attention_mask=hidden)


def _best(config: TextConfig, run: Path) -> SentimentNetwork:
    """Return the network with the run's best weights, in evaluation mode."""
    state = checkpoint.read(run)
    if state is None or not is_finished(config, state):
        raise RunError(
            f"{run} has {state.epoch if state else 0} of {config.finetuning.epochs} epochs; "
            "run `python -m training finetune` to its end first"
        )
    network = build(config.network, pretrained=False)
    network.load_state_dict(state.best)
    return network.eval()
