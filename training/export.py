"""Writes the fine-tuned encoder as ONNX, and proves that it computes what the network does."""

import functools
import json
import math
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from models.bundle import ENCODER, Preprocessing
from models.encoder import Encoder
from models.observation import EXPRESSIONS
from training import checkpoint
from training.augmentation import normalise
from training.config import Config
from training.datasets.faces import Faces
from training.errors import ExportError, RunError
from training.finetuning import is_finished
from training.network import build

__all__ = [
    "REPORT",
    "clear",
    "export",
    "feature_count",
    "is_exported",
    "open_encoder",
    "save",
    "save_report",
    "to_onnx",
]

REPORT: Final = "export.json"
COMPARED: Final = 64  # real faces that torch and ONNX Runtime both encode
PARITY: Final = 1e-4  # largest difference of a feature, absolute; features are of the order of 1
OPSET: Final = 17  # every ONNX Runtime since 1.12 reads it


def export(config: Config, run: Path, faces: Faces) -> Path:
    """Write `encoder.onnx` and `export.json` into the run from its best weights.

    Input `images`: float32 [n, 3, side, side], normalised RGB. Output `features`: float32
    [n, features], pooled; with `export.logits` the classifier's 7 logits follow them, [n,
    features + 7]; with `export.mirrored` they are the mean of those of the picture and of its
    mirror image. Batch norm is folded into the convolutions, and the padding is that of the
    network's own input size. The encoder appears only after it has passed the comparison; an
    older one and its variants are removed first, so that a failure leaves none.

    Args:
        config: all settings of the run.
        run: a folder with a finished fine-tuning.
        faces: real faces, of which the first `COMPARED` are encoded both ways.

    Returns:
        The path of the encoder. `export.json` beside it holds `parity` (the largest difference),
        `compared` faces, `features` of the output, `bytes` of the file, `logits` and `mirrored`.

    Raises:
        RunError: fine-tuning has not finished, or has no usable weights.
        ExportError: the two encoders differ by more than `PARITY`, or the disk does not take it.
    """
    side, wanted = config.network.input_size, config.export
    network = _encoder(_best(config, run), logits=wanted.logits, mirrored=wanted.mirrored)
    clear(run)
    images = faces.images[:COMPARED]
    if not len(images):
        raise ExportError("there is no face to compare the encoder on")
    with torch.inference_mode():
        expected = network(normalise(torch.from_numpy(images))).numpy()
    part = run / f"{ENCODER}.part"
    try:
        save(part, to_onnx(network, side))
        parity = _difference(open_encoder(part, side), images, expected)
        found = {
            "parity": parity,
            "compared": len(images),
            "features": expected.shape[1],
            "bytes": part.stat().st_size,
            "logits": wanted.logits,
            "mirrored": wanted.mirrored,
        }
        # Before the encoder, which is what says that the stage is done.
        save_report(run, found)
        return part.replace(run / ENCODER)
    finally:
        part.unlink(missing_ok=True)


def is_exported(config: Config, run: Path) -> bool:
    """Whether the run has an encoder, with the outputs that the settings ask for."""
    try:
        found = json.loads((run / REPORT).read_text(encoding="utf-8"))
        wanted = (config.export.logits, config.export.mirrored)
        return (run / ENCODER).is_file() and (found["logits"], found["mirrored"]) == wanted
    except (OSError, ValueError, KeyError, TypeError):
        return False


def feature_count(path: Path) -> int:
    """Return how many features an exported encoder gives."""
    return int(onnx.load(path).graph.output[0].type.tensor_type.shape.dim[1].dim_value)


def open_encoder(path: Path, side: int, threads: int = 0) -> Encoder:
    """Open an exported encoder that is in no bundle yet.

    Raises:
        BundleError: it is no such encoder.
    """
    return Encoder(path, side, feature_count(path), Preprocessing(), threads)


def to_onnx(network: nn.Module, side: int) -> bytes:
    """Return a network as ONNX: `images` float32 [n, 3, side, side] to `features` [n, m].

    The network is put into evaluation mode and its padding is fixed for this side.

    Raises:
        ExportError: batch norm is left in the graph, or the disk for temporary files is full.
    """
    network.eval()
    example = torch.zeros(2, 3, side, side)
    _fix_padding(network, example)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / ENCODER
        try:
            _trace(network, example, written)
            content = written.read_bytes()
        except OSError as error:
            raise ExportError(f"cannot write {written}: {error.strerror or error}") from error
    model = onnx.load_from_string(content)
    if any(node.op_type == "BatchNormalization" for node in model.graph.node):
        raise ExportError("the exporter left batch norm in the graph")
    return content


def save(path: Path, content: bytes) -> None:
    """Write a file in one step: a failure leaves the old one or none.

    Raises:
        ExportError: the disk does not take it.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise ExportError(
            f"cannot write {path} ({len(content)} bytes): {error.strerror or error}"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def save_report(run: Path, found: dict[str, Any]) -> None:
    """Replace the run's `export.json`.

    Raises:
        ExportError: the disk does not take it.
    """
    save(run / REPORT, (json.dumps(found, indent=2) + "\n").encode())


class _WithLogits(nn.Module):
    """The pooled features [n, features], followed by the classifier's logits [n, classes]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        network: Any = self.network
        features = network.forward_head(network.forward_features(images), pre_logits=True)
        return torch.cat([features, network.get_classifier()(features)], dim=1)


class _Mirrored(nn.Module):
    """The mean of what a network gives for a picture and for its mirror image."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        both: Tensor = self.network(torch.cat([images, images.flip(3)]))
        halves: Tensor = both.unflatten(0, (2, -1))  # type: ignore[no-untyped-call]
        return halves.mean(0)


def _trace(network: nn.Module, example: Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own age
        torch.onnx.export(
            network,
            (example,),
            str(path),
            input_names=["images"],
            output_names=["features"],
            opset_version=OPSET,
            dynamic_axes={"images": {0: "n"}, "features": {0: "n"}},
            # The tracing exporter folds batch norm into the convolutions and writes one file.
            dynamo=False,
        )


def _fix_padding(network: nn.Module, example: Tensor) -> None:
    """Replace padding that is worked out from the input at run time by constants.

    Tracing writes the former as some 200 small nodes, which take a fifth of the time of one face
    and keep the padding out of the convolutions. The result is the same to the bit.
    """
    paddings: dict[str, tuple[int, int, int, int]] = {}

    def learn(name: str, module: nn.Conv2d, inputs: tuple[Tensor, ...]) -> None:
        height, width = inputs[0].shape[-2:]
        top, bottom = _same_padding(height, module, 0)
        left, right = _same_padding(width, module, 1)
        paddings[name] = (left, right, top, bottom)

    same = {name: part for name, part in network.named_modules() if isinstance(part, Conv2dSame)}
    hooks = [
        part.register_forward_pre_hook(functools.partial(learn, name))
        for name, part in same.items()
    ]
    with torch.inference_mode():
        network(example)
    for hook in hooks:
        hook.remove()
    for name, part in same.items():
        # The same weights, without its own padding.
        part.__class__ = nn.Conv2d  # type: ignore[assignment]
        network.set_submodule(name, nn.Sequential(nn.ZeroPad2d(paddings[name]), part))


def _same_padding(size: int, convolution: nn.Conv2d, axis: int) -> tuple[int, int]:
    """Return TensorFlow's "same" padding before and after; the odd pixel comes after."""
    stride = convolution.stride[axis]
    reach = convolution.dilation[axis] * (convolution.kernel_size[axis] - 1) + 1
    total = max(0, (math.ceil(size / stride) - 1) * stride + reach - size)
    return total // 2, total - total // 2


def _best(config: Config, run: Path) -> nn.Module:
    """Return the network with the run's best weights, in evaluation mode."""
    state = checkpoint.read(run)
    if state is None or not is_finished(config.finetuning, state):
        wanted = sum(phase.epochs for phase in config.finetuning.phases)
        raise RunError(
            f"{run} has {state.epoch if state else 0} of {wanted} epochs; "
            "run `python -m training finetune` to its end first"
        )
    if not state.best:
        raise RunError(
            f"{run} has no best weights: the validation loss was never a number. Remove the run "
            "and fine-tune again, with a lower learning rate or in fp32"
        )
    network = build(config.network, class_count=len(EXPRESSIONS), pretrained=False)
    network.load_state_dict(state.best)
    return network.eval()


def _encoder(network: nn.Module, *, logits: bool, mirrored: bool) -> nn.Module:
    if logits:
        network = _WithLogits(network)
    else:
        network.reset_classifier(0)  # type: ignore[operator]  # what remains ends with the pooling
    return (_Mirrored(network) if mirrored else network).eval()


def _difference(
    encoder: Encoder, images: NDArray[np.uint8], expected: NDArray[np.float32]
) -> float:
    """Return the largest difference of a feature.

    Raises:
        ExportError: it is more than `PARITY`.
    """
    difference = float(np.abs(encoder.encode(images) - expected).max())
    if not difference <= PARITY:  # also when it is no number
        raise ExportError(
            f"the exported encoder differs from the network by {difference:.1e} in a feature, "
            f"allowed is {PARITY:.0e}"
        )
    return difference


def clear(run: Path) -> None:
    """Remove what an older export left, whole or half."""
    for pattern in (REPORT, "encoder*.onnx", "encoder*.part", f"{REPORT}*.part"):
        for path in run.glob(pattern):
            path.unlink()
