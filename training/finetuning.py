"""Fine-tuning of the encoder, phase by phase, with checkpoints between the epochs."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.observation import EXPRESSIONS
from training import checkpoint
from training.augmentation import normalise
from training.checkpoint import Checkpoint
from training.config import Config, Finetuning, Phase
from training.datasets.faces import Faces
from training.epoch import Learner
from training.errors import ConfigError
from training.network import build, device, keep_depthwise_in_float32
from training.optimisation import autocast
from training.progress import Progress
from training.sampling import Sampler, sampler
from training.teachers import Teachers, best_of, of_runs, oneself

__all__ = ["finetune", "is_finished", "predict_logits"]

EVALUATION_BATCH = 256


def finetune(
    config: Config,
    train: Mapping[str, Faces],
    validation: Faces,
    run: Path,
    *,
    progress: Progress,
    each_epoch: Callable[[list[dict[str, float]]], None] = lambda history: None,
    stop_after: int | None = None,
) -> Checkpoint:
    """Train to the last epoch, going on from the run's checkpoint where there is one.

    Writes a checkpoint after each epoch. With the same data, settings, number of threads and
    machine, a run that was interrupted any number of times gives the same weights as one that
    was not.

    Args:
        config: all settings of the run.
        train: the faces to learn from, by name of their source.
        validation: the faces that choose the epoch.
        run: the folder of the checkpoint; it exists.
        progress: where steps are reported.
        each_epoch: called with the scores of all epochs so far, after each one.
        stop_after: end after this many epochs in all, as an interruption would.

    Raises:
        ConfigError: a phase names an unknown source, has fewer faces than one batch holds, or names
            a teacher without weights.
    """
    settings, place = config.finetuning, device()
    epochs = _epochs(settings)
    samplers = [_sampler(settings, phase, train) for phase in settings.phases]
    state = checkpoint.read(run)
    if state is None or not is_finished(settings, state):
        for each in settings.phases:
            for teacher in each.teachers:
                best_of(teacher)  # missed now, and not after the phases before
    seed = config.data.seed + settings.seed
    torch.manual_seed(seed)
    network = build(config.network, class_count=len(EXPRESSIONS), pretrained=state is None)
    keep_depthwise_in_float32(network, place)
    network.to(place)
    average = copy.deepcopy(network)
    if state is None:
        state = Checkpoint(0, 0, {}, {}, {}, {}, {})
    else:
        network.load_state_dict(state.network)
        average.load_state_dict(state.average)
    sizes = [len(samplers[phase]) // settings.batch_size for phase, _ in epochs]
    progress.start("fine-tuning", total=sum(sizes), done=sum(sizes[: state.epoch]))
    learner: Learner | None = None
    while not is_finished(settings, state) and state.epoch != stop_after:
        phase, within = epochs[state.epoch]
        if learner is None or within == 0:
            if within == 0:
                network.load_state_dict(average.state_dict())
            # Joined now, and not before: a large phase takes as much memory again as its sources.
            faces = Faces.join([train[name] for name in settings.phases[phase].sources])
            teachers = _teachers(settings, settings.phases[phase], average, state, within)
            learner = Learner(
                config, phase, network, average, faces, samplers[phase], state.step, teachers
            )
            if within > 0:
                learner.load(state.optimizer, state.schedule)
        torch.manual_seed(_seed(seed, state.epoch))
        loss, accuracy = learner.run_epoch(progress)
        scores = {
            "phase": float(phase),
            "learning_rate": learner.learning_rate,
            "loss": loss,
            "accuracy": accuracy,
            **_scores("validation", network, validation, settings),
            **_scores("ema_validation", average, validation, settings),
        }
        if _is_best(scores, state, settings):
            state.best = copy.deepcopy(average.state_dict())
        state.history.append(scores)
        state.epoch, state.step = state.epoch + 1, learner.step
        state.network, state.average = network.state_dict(), average.state_dict()
        state.optimizer, state.schedule = learner.state()
        checkpoint.write(state, run)
        each_epoch(state.history)
        progress.say(
            f"epoch {state.epoch}/{len(epochs)}: "
            + ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
        )
    progress.finish()
    return state


def is_finished(settings: Finetuning, state: Checkpoint) -> bool:
    """Whether all epochs are done, or the last phase has stopped getting better."""
    epochs = _epochs(settings)
    if state.epoch >= len(epochs):
        return True
    before = _of_last_phase(state, settings)
    return len(before) - 1 - int(np.argmax(before)) >= settings.patience if before else False


def predict_logits(
    network: nn.Module, images: NDArray[np.uint8], precision: str = "fp32"
) -> Tensor:
    """Return float32 logits [n, classes] for uint8 faces [n, side, side, 3], in evaluation mode."""
    place = next(network.parameters()).device
    network.eval()
    parts: list[Tensor] = []
    with torch.inference_mode(), autocast(precision, place):
        for start in range(0, len(images), EVALUATION_BATCH):
            batch = torch.from_numpy(images[start : start + EVALUATION_BATCH]).to(place)
            parts.append(network(normalise(batch)).float().cpu())
    return torch.cat(parts)


def _epochs(settings: Finetuning) -> list[tuple[int, int]]:
    """Return for each epoch its phase and its number within the phase."""
    return [(p, e) for p, phase in enumerate(settings.phases) for e in range(phase.epochs)]


def _teachers(
    settings: Finetuning, phase: Phase, average: nn.Module, state: Checkpoint, within: int
) -> Teachers | None:
    """Return who teaches a phase: other runs, or else the average of the phase before.

    The checkpoint keeps that average for a resumption.
    """
    if not phase.taught or phase.teachers:
        state.teacher = {}
        if not phase.taught:
            return None
        return of_runs(phase.teachers, device(), settings.precision)
    teachers = oneself(average, settings.precision)
    if within == 0:
        state.teacher = teachers.networks[0].state_dict()
    else:
        teachers.networks[0].load_state_dict(state.teacher)
    return teachers


def _sampler(settings: Finetuning, phase: Phase, train: Mapping[str, Faces]) -> Sampler:
    """Return which faces each epoch of a phase sees."""
    unknown = [name for name in phase.sources if name not in train]
    if unknown:
        raise ConfigError(
            f"finetuning.phases: {unknown[0]!r} is none of data.sources ({', '.join(train)})"
        )
    rows, size = sampler(phase.sources, train, phase.at_most), settings.batch_size
    if len(rows) < size:
        raise ConfigError(f"finetuning.batch_size is {size}, more than the {len(rows)} faces")
    return rows


def _scores(name: str, network: nn.Module, faces: Faces, settings: Finetuning) -> dict[str, float]:
    """Return accuracy, balanced accuracy and loss (without smoothing or weights)."""
    logits = predict_logits(network, faces.images, settings.precision)
    labels = torch.from_numpy(faces.labels)
    hits = (logits.argmax(1) == labels).float()
    return {
        f"{name}_accuracy": float(hits.mean()),
        f"{name}_balanced_accuracy": float(
            torch.stack([hits[labels == label].mean() for label in np.unique(faces.labels)]).mean()
        ),
        f"{name}_loss": float(functional.cross_entropy(logits, torch.from_numpy(faces.targets))),
    }


def _is_best(scores: Mapping[str, float], state: Checkpoint, settings: Finetuning) -> bool:
    """Whether an epoch of the last phase is better than those of that phase before it."""
    before = _of_last_phase(state, settings)
    last = scores["phase"] == len(settings.phases) - 1
    return last and _goodness(scores, settings) > max(before, default=-np.inf)


def _of_last_phase(state: Checkpoint, settings: Finetuning) -> list[float]:
    last = len(settings.phases) - 1
    return [_goodness(entry, settings) for entry in state.history if entry["phase"] == last]


def _goodness(scores: Mapping[str, float], settings: Finetuning) -> float:
    if settings.best_by == "loss":
        return -scores["ema_validation_loss"]
    accuracy, balanced = (
        scores[f"ema_validation_{name}"] for name in ("accuracy", "balanced_accuracy")
    )
    return (accuracy + balanced) / 2


def _seed(seed: int, epoch: int) -> int:
    """Return a seed for one epoch that shares nothing with those of its neighbours."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
