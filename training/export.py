"""Writes the fine-tuned encoder as ONNX, and proves that it computes what the network does."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from models.bundle import ENCODER, Preprocessing
from models.encoder import Encoder
from models.observation import EXPRESSIONS
from training import checkpoint
from training.augmentation import normalise
from training.config import Config
from training.errors import ExportError, RunError
from training.network import build
from training.rafdb import Faces

__all__ = ["export", "feature_count", "open_encoder"]

COMPARED = 64  # real faces that torch and ONNX Runtime both encode
PARITY = 1e-4  # largest difference of a feature, absolute; features are of the order of 1
OPSET = 17  # every ONNX Runtime since 1.12 reads it


def export(config: Config, run: Path, faces: Faces) -> Path:
    """Write `encoder.onnx` into the run from its best weights, without the classifier.

    Input `images`: float32 [n, 3, side, side], normalised RGB. Output `features`: float32
    [n, features], pooled. Batch norm is folded into the convolutions. The file appears only
    after it has passed the comparison.

    Args:
        config: all settings of the run.
        run: a folder with a finished fine-tuning.
        faces: real faces, of which the first `COMPARED` are encoded both ways.

    Returns:
        The path of the file.

    Raises:
        RunError: fine-tuning has not finished.
        ExportError: the two encoders differ by more than `PARITY`.
    """
    state = checkpoint.read(run)
    wanted = config.finetuning.epochs
    if state is None or state.epoch < wanted:
        raise RunError(
            f"{run} has {state.epoch if state else 0} of {wanted} epochs; "
            "run `python -m training finetune` to its end first"
        )
    network = build(config.network, class_count=len(EXPRESSIONS), pretrained=False)
    network.load_state_dict(state.best)
    network.reset_classifier(0)  # type: ignore[operator]  # what remains ends with the pooling
    network.eval()
    part = run / f"{ENCODER}.part"
    _write(network, part, config.network.input_size)
    difference = _difference(network, open_encoder(part, config.network.input_size), faces)
    if not difference <= PARITY:
        raise ExportError(
            f"the exported encoder differs from the network by {difference:.1e} in a feature, "
            f"allowed is {PARITY:.0e}"
        )
    return part.replace(run / ENCODER)


def feature_count(path: Path) -> int:
    """Return how many features an exported encoder gives."""
    model = onnx.load(path)
    return int(model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)


def open_encoder(path: Path, side: int) -> Encoder:
    """Open an exported encoder that is in no bundle yet.

    Raises:
        BundleError: it is no such encoder.
    """
    return Encoder(path, side, feature_count(path), Preprocessing())


def _write(network: nn.Module, path: Path, side: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own age
        torch.onnx.export(
            network,
            (torch.zeros(2, 3, side, side),),
            str(path),
            input_names=["images"],
            output_names=["features"],
            opset_version=OPSET,
            dynamic_axes={"images": {0: "n"}, "features": {0: "n"}},
            # The tracing exporter folds batch norm into the convolutions and writes one file.
            dynamo=False,
        )
    model = onnx.load(path)
    if any(node.op_type == "BatchNormalization" for node in model.graph.node):
        raise ExportError("the exporter left batch norm in the graph")


def _difference(network: nn.Module, encoder: Encoder, faces: Faces) -> float:
    images = faces.images[:COMPARED]
    with torch.inference_mode():
        expected = network(normalise(torch.from_numpy(images))).numpy()
    return float(np.abs(encoder.encode(images) - expected).max())
