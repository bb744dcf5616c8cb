"""One phase of fine-tuning: AdamW, a warm-up and cosine cycle, and the average that follows."""

import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.augmentation import augment, mix, normalise
from training.config import Config
from training.datasets.faces import Faces
from training.network import device, freeze
from training.progress import Progress
from training.sampling import Sampler

__all__ = ["Learner", "autocast", "class_weights"]


class Learner:
    """What one phase needs besides the two networks: optimizer, schedule, faces, weights."""

    def __init__(
        self,
        config: Config,
        phase: int,
        network: nn.Module,
        average: nn.Module,
        faces: Faces,
        sampler: Sampler,
        step: int,
    ) -> None:
        """Prepare a phase.

        Args:
            config: all settings of the run.
            phase: the number of the phase in `finetuning.phases`.
            network: what learns; its first stages are frozen here where the phase says so.
            average: the moving average of its weights, which follows in place.
            faces: what is learnt from.
            sampler: which of them each epoch sees.
            step: number of steps that were made before, in all phases.

        Raises:
            ConfigError: more stages are to be frozen than there are.
        """
        settings = config.finetuning
        self._phase = settings.phases[phase]
        self._settings, self._ranges = settings, config.augmentation
        self._network, self._average = network, average
        self._faces, self._sampler = faces, sampler
        self._frozen = freeze(network, self._phase.frozen_stages)
        self._forward = _compiled(network) if settings.compiled else network
        self._side = self._phase.input_size or config.network.input_size
        self._weights = class_weights(
            faces.labels[sampler.typical], faces.targets.shape[1], self._phase.class_balance
        )
        self._optimizer = torch.optim.AdamW(
            _decay_groups(network, settings.weight_decay), lr=self._phase.learning_rate
        )
        steps = self._phase.epochs * (len(sampler) // settings.batch_size)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, _warm_up_and_cosine(steps, self._phase.warmup)
        )
        self.step = step

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._schedule.get_last_lr()[0])

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the state of the optimizer and of the schedule, for a checkpoint."""
        return self._optimizer.state_dict(), self._schedule.state_dict()

    def load(self, optimizer: dict[str, Any], schedule: dict[str, Any]) -> None:
        """Go on where a checkpoint stands."""
        self._optimizer.load_state_dict(optimizer)
        self._schedule.load_state_dict(schedule)

    def run_epoch(self, progress: Progress) -> tuple[float, float]:
        """See the faces of one epoch; return mean loss and accuracy on the changed pictures."""
        self._network.train()
        for module in self._frozen:
            module.eval()
        place = device()
        losses, hits, seen = 0.0, 0, 0
        for rows in _batches(self._sampler.draw(), self._settings.batch_size):
            images = normalise(torch.from_numpy(self._faces.images[rows]).to(place))
            images = augment(images, self._ranges, self._side)
            targets = torch.from_numpy(self._faces.targets[rows]).to(place)
            labels = targets.argmax(1)
            images, targets = mix(images, targets, self._phase.mixup)
            with autocast(self._settings.precision, place):
                logits = self._forward(images.contiguous(memory_format=torch.channels_last))
            loss = functional.cross_entropy(
                logits.float(),
                targets,
                weight=self._weights.to(place),
                label_smoothing=self._settings.label_smoothing,
            )
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            self._schedule.step()
            _follow(self._average, self._network, self._settings.ema_decay, self.step)
            self.step += 1
            seen += len(rows)
            losses += float(loss.detach()) * len(rows)
            hits += int((logits.argmax(1) == labels).sum())
            progress.advance()
        return losses / seen, hits / seen


def class_weights(labels: NDArray[np.int64], classes: int, balance: float) -> Tensor:
    """Return float32 [classes] weights `count ** -balance`, whose mean over the faces is 1."""
    counts = np.bincount(labels, minlength=classes)
    weights = np.maximum(counts, 1.0) ** -balance
    return torch.from_numpy(weights * len(labels) / (weights * counts).sum()).float()


def autocast(precision: str, place: torch.device) -> AbstractContextManager[None]:
    """Return the context in which the network computes in the given precision."""
    return torch.autocast(place.type, torch.bfloat16, enabled=precision == "bf16")


def _compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the network compiled, or as it is where nothing can compile it."""
    if device().type == "cpu" and shutil.which(os.environ.get("CXX", "g++")) is None:
        return network
    torch.compiler.reset()
    compiled: Callable[[Tensor], Tensor] = torch.compile(network, dynamic=False)
    return compiled


def _warm_up_and_cosine(steps: int, warmup: float) -> Callable[[int], float]:
    """Return the share of the peak rate at a step: linear up, then half a cosine down to 0."""
    rise = max(1, round(steps * warmup))

    def share(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise)))) / 2

    return share


def _batches(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows in parts; the incomplete last batch is left out, as it upsets batch norm."""
    for start in range(0, len(rows) - size + 1, size):
        yield rows[start : start + size]


def _decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Leave biases and batch-norm parameters (those with one dimension) without weight decay."""
    parameters = [value for value in network.parameters() if value.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the average towards the network; early steps follow faster, as there is no past yet."""
    decay = min(decay, (1 + step) / (10 + step))
    ours, theirs = average.state_dict(), network.state_dict()
    for name, value in ours.items():
        if value.dtype.is_floating_point:
            value.lerp_(theirs[name], 1 - decay)
        else:
            value.copy_(theirs[name])
