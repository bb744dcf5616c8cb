"""One phase of fine-tuning: AdamW, a warm-up and cosine cycle, and the average that follows."""

import os
import shutil
from collections.abc import Callable, Iterator
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
from training.optimisation import (
    autocast,
    class_weights,
    decay_groups,
    follow,
    warm_up_and_cosine,
)
from training.progress import Progress
from training.sampling import Sampler
from training.teachers import Teachers

__all__ = ["Learner"]


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
        teachers: Teachers | None = None,
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
            teachers: who say a part of the targets, where the phase says so.

        Raises:
            ConfigError: more stages are to be frozen than there are.
        """
        settings = config.finetuning
        self._phase = settings.phases[phase]
        self._settings, self._ranges = settings, config.augmentation
        self._network, self._average = network, average
        self._sampler, self._teachers, self._place = sampler, teachers, device()
        # On a GPU all faces lie there from the start, so that no step waits for the next ones.
        self._images = torch.from_numpy(faces.images).to(self._place)
        self._targets = torch.from_numpy(faces.targets).to(self._place)
        self._frozen = freeze(network, self._phase.frozen_stages)
        self._forward = _compiled(network) if settings.compiled else network
        self._side = self._phase.input_size or config.network.input_size
        self._weights = class_weights(
            faces.labels[sampler.typical], faces.targets.shape[1], self._phase.class_balance
        ).to(self._place)
        self._optimizer = torch.optim.AdamW(
            decay_groups(network, settings.weight_decay), lr=self._phase.learning_rate
        )
        steps = self._phase.epochs * (len(sampler) // settings.batch_size)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, warm_up_and_cosine(steps, self._phase.warmup)
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
        losses, hits = torch.zeros(2, device=self._place)
        seen = 0
        for chosen in _batches(self._sampler.draw(), self._settings.batch_size):
            rows = torch.from_numpy(chosen).to(self._place)
            images = augment(normalise(self._images[rows]), self._ranges, self._side)
            targets = self._targets[rows]
            labels = targets.argmax(1)
            images, targets = mix(images, targets, self._phase.mixup)
            if self._teachers is not None:
                targets = targets.lerp(self._teachers.say(images), self._phase.taught)
            with autocast(self._settings.precision, self._place):
                logits = self._forward(images.contiguous(memory_format=torch.channels_last))
            loss = functional.cross_entropy(
                logits.float(),
                targets,
                weight=self._weights,
                label_smoothing=self._settings.label_smoothing,
            )
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            self._schedule.step()
            follow(self._average, self._network, self._settings.ema_decay, self.step)
            self.step += 1
            seen += len(rows)
            # Summed where they are: to read a number is to wait for the GPU.
            losses += loss.detach() * len(rows)
            hits += (logits.argmax(1) == labels).sum()
            progress.advance()
        return float(losses) / seen, float(hits) / seen


def _compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the network compiled, or as it is where nothing can compile it."""
    if device().type == "cpu" and shutil.which(os.environ.get("CXX", "g++")) is None:
        return network
    torch.compiler.reset()
    compiled: Callable[[Tensor], Tensor] = torch.compile(network, dynamic=False)
    return compiled


def _batches(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows in parts; the incomplete last batch is left out, as it upsets batch norm."""
    for start in range(0, len(rows) - size + 1, size):
        yield rows[start : start + size]
