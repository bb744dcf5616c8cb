"""What every fine-tuning shares: the schedule, the weights of classes, decay and the average."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["autocast", "class_weights", "decay_groups", "follow", "warm_up_and_cosine"]


def class_weights(labels: NDArray[np.int64], classes: int, balance: float) -> Tensor:
    """Return float32 [classes] weights `count ** -balance`, whose mean over the faces is 1."""
    counts = np.bincount(labels, minlength=classes)
    weights = np.maximum(counts, 1.0) ** -balance
    return torch.from_numpy(weights * len(labels) / (weights * counts).sum()).float()


def autocast(precision: str, place: torch.device) -> AbstractContextManager[None]:
    """Return the context in which the network computes in the given precision."""
    return torch.autocast(place.type, torch.bfloat16, enabled=precision == "bf16")


def warm_up_and_cosine(steps: int, warmup: float) -> Callable[[int], float]:
    """Return the share of the peak rate at a step: linear up, then half a cosine down to 0."""
    rise = max(1, round(steps * warmup))

    def share(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise)))) / 2

    return share


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Leave biases and batch-norm parameters (those with one dimension) without weight decay."""
    parameters = [value for value in network.parameters() if value.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the average towards the network; early steps follow faster, as there is no past yet."""
    decay = min(decay, (1 + step) / (10 + step))
    theirs = network.state_dict()
    pairs = [(value, theirs[name]) for name, value in average.state_dict().items()]
    moving = [pair for pair in pairs if pair[0].dtype.is_floating_point]
    # All at once: one by one, a GPU would wait for the next order more than it computes.
    torch._foreach_lerp_([old for old, _ in moving], [new for _, new in moving], 1 - decay)
    for old, new in pairs:
        if not old.dtype.is_floating_point:
            old.copy_(new)
