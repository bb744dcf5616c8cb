"""Fine-tuning of the encoder: AdamW, one-cycle learning rate, moving average of the weights."""

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.observation import EXPRESSIONS
from training import checkpoint
from training.augmentation import augment, normalise
from training.checkpoint import Checkpoint
from training.config import Config
from training.errors import ConfigError
from training.network import build, device, keep_depthwise_in_float32
from training.progress import Progress
from training.rafdb import Faces

__all__ = ["finetune", "predict_logits"]

EVALUATION_BATCH = 256


def finetune(
    config: Config,
    train: Faces,
    validation: Faces,
    run: Path,
    *,
    progress: Progress,
    stop_after: int | None = None,
) -> Checkpoint:
    """Train to the last epoch, going on from the run's checkpoint where there is one.

    Writes a checkpoint after each epoch. With the same data, settings, number of threads and
    machine, a run that was interrupted any number of times gives the same weights as one that
    was not.

    Args:
        config: all settings of the run.
        train: the faces to learn from.
        validation: the faces that choose the epoch.
        run: the folder of the checkpoint; it exists.
        progress: where steps are reported.
        stop_after: end after this many epochs in all, as an interruption would.

    Raises:
        ConfigError: there are fewer faces than one batch holds.
    """
    settings, place = config.finetuning, device()
    steps = len(train) // settings.batch_size
    if not steps:
        raise ConfigError(
            f"finetuning.batch_size is {settings.batch_size}, more than the {len(train)} faces"
        )
    torch.manual_seed(config.data.seed)
    state = checkpoint.read(run)
    network = build(config.network, class_count=len(EXPRESSIONS), pretrained=state is None)
    keep_depthwise_in_float32(network)
    network.to(place)
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(
        _decay_groups(network, settings.weight_decay), lr=settings.learning_rate
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=settings.learning_rate,
        total_steps=steps * settings.epochs,
        pct_start=settings.warmup,
    )
    if state is None:
        state = Checkpoint(0, {}, {}, {}, {}, {})
    else:
        network.load_state_dict(state.network)
        average.load_state_dict(state.average)
        optimizer.load_state_dict(state.optimizer)
        schedule.load_state_dict(state.schedule)
    last = settings.epochs if stop_after is None else min(settings.epochs, stop_after)
    progress.start("fine-tuning", total=last * steps, done=state.epoch * steps)
    while state.epoch < last:
        torch.manual_seed(_seed(config.data.seed, state.epoch))
        network.train()
        loss_sum = 0.0
        for step, rows in enumerate(_batches(len(train), settings.batch_size)):
            images = normalise(torch.from_numpy(train.images[rows]).to(place))
            images = augment(images, config.augmentation)
            labels = torch.from_numpy(train.labels[rows]).to(place)
            with _precision(settings.precision, place):
                logits = network(images)
            loss = functional.cross_entropy(
                logits.float(), labels, label_smoothing=settings.label_smoothing
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            _follow(average, network, settings.ema_decay, state.epoch * steps + step)
            loss_sum += float(loss.detach())
            progress.advance()
        scores = {
            "loss": loss_sum / steps,
            "validation_accuracy": _accuracy(network, validation, settings.precision),
            "ema_validation_accuracy": _accuracy(average, validation, settings.precision),
        }
        seen = max((entry["ema_validation_accuracy"] for entry in state.history), default=-1.0)
        if scores["ema_validation_accuracy"] >= seen:
            state.best = copy.deepcopy(average.state_dict())
        state.history.append(scores)
        state.epoch += 1
        state.network, state.average = network.state_dict(), average.state_dict()
        state.optimizer, state.schedule = optimizer.state_dict(), schedule.state_dict()
        checkpoint.write(state, run)
        progress.say(
            f"epoch {state.epoch}/{settings.epochs}: "
            + ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        )
    progress.finish()
    return state


def predict_logits(network: nn.Module, images: np.ndarray, precision: str = "fp32") -> Tensor:
    """Return float32 logits [n, classes] for uint8 faces [n, side, side, 3], in evaluation mode."""
    place = next(network.parameters()).device
    network.eval()
    parts: list[Tensor] = []
    with torch.inference_mode(), _precision(precision, place):
        for start in range(0, len(images), EVALUATION_BATCH):
            batch = torch.from_numpy(images[start : start + EVALUATION_BATCH]).to(place)
            parts.append(network(normalise(batch)).float().cpu())
    return torch.cat(parts)


def _accuracy(network: nn.Module, faces: Faces, precision: str) -> float:
    guesses = predict_logits(network, faces.images, precision).argmax(1)
    return float((guesses == torch.from_numpy(faces.labels)).float().mean())


def _seed(seed: int, epoch: int) -> int:
    """Return a seed for one epoch that shares nothing with those of its neighbours."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _batches(count: int, size: int) -> Iterator[np.ndarray]:
    """Yield shuffled rows; the incomplete last batch is left out, as it upsets batch norm."""
    order = torch.randperm(count).numpy()
    for start in range(0, count - size + 1, size):
        yield order[start : start + size]


def _precision(name: str, place: torch.device) -> AbstractContextManager[None]:
    return torch.autocast(place.type, torch.bfloat16, enabled=name == "bf16")


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
