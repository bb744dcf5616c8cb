"""Networks that a phase learns from, besides its labels.

They see the very picture that the learner sees, changed and mixed as it is, and say what they make
of it: their errors are softer than labels, and the mean of several errs less than any of them
(distillation, Hinton et al. 2015, arXiv:1503.02531; the same view for both, Beyer et al. 2022,
arXiv:2106.05237).
"""

import copy
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from models.observation import EXPRESSIONS
from training import checkpoint
from training.config import CONFIG_FILE, Network
from training.errors import ConfigError
from training.network import build, keep_depthwise_in_float32
from training.optimisation import autocast

__all__ = ["Teachers", "best_of", "of_runs", "oneself"]


class Teachers:
    """Networks in evaluation mode, each with the side of the pictures that it knows."""

    def __init__(self, networks: Sequence[tuple[nn.Module, int | None]], precision: str) -> None:
        """Take networks, and stop them from learning.

        Args:
            networks: each with its side in pixels; None takes pictures as they come.
            precision: "bf16" or "fp32".
        """
        self.networks = [network.eval().requires_grad_(False) for network, _ in networks]
        self._sides = [side for _, side in networks]
        self._precision = precision

    @torch.no_grad()
    def say(self, images: Tensor) -> Tensor:
        """Return the softmax of their mean logits, float32 [n, 7].

        Args:
            images: float32 [n, 3, side, side] in -1…1; resized to the side that each knows.
        """
        logits = torch.zeros(len(images), len(EXPRESSIONS), device=images.device)
        for network, side in zip(self.networks, self._sides, strict=True):
            seen = images
            if side is not None and side != images.shape[-1]:
                seen = functional.interpolate(
                    images, (side, side), mode="bilinear", align_corners=False
                )
            with autocast(self._precision, images.device):
                logits += network(seen.contiguous(memory_format=torch.channels_last)).float()
        return (logits / len(self.networks)).softmax(1)


def oneself(network: nn.Module, precision: str) -> Teachers:
    """Return a copy of a network as the only teacher: self-distillation, Furlanello et al. 2018."""
    return Teachers([(copy.deepcopy(network), None)], precision)


def of_runs(runs: Sequence[Path], place: torch.device, precision: str) -> Teachers:
    """Return the best networks of other runs.

    Args:
        runs: folders of runs whose fine-tuning has reached its last phase.
        place: where they compute.
        precision: "bf16" or "fp32".

    Raises:
        ConfigError: a folder holds no such run.
        RunError: its checkpoint is damaged.
    """
    return Teachers([_of_run(run, place) for run in runs], precision)


def best_of(run: Path) -> dict[str, Tensor]:
    """Return the weights of a run that are to teach.

    Raises:
        ConfigError: there are none yet.
        RunError: the checkpoint is damaged.
    """
    state = checkpoint.read(run)
    if state is None or not state.best:
        raise ConfigError(
            f"finetuning.phases: the teacher {run} has no weights yet; "
            f"run `python -m training finetune --run {run}` with its settings first"
        )
    return state.best


def _of_run(run: Path, place: torch.device) -> tuple[nn.Module, int]:
    best = best_of(run)
    try:
        kept = json.loads((run / CONFIG_FILE).read_text(encoding="utf-8"))
        settings = Network.model_validate(kept["network"])
        network = build(settings, class_count=len(EXPRESSIONS), pretrained=False)
        network.load_state_dict(best)
    except (OSError, ValueError, KeyError, ValidationError, RuntimeError) as error:
        raise ConfigError(f"finetuning.phases: the teacher {run} is no run: {error!r}") from error
    keep_depthwise_in_float32(network, place)
    return network.to(place), settings.input_size
