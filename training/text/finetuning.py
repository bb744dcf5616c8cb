"""Fine-tuning of the sentence encoder, with a checkpoint after every epoch."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.observation import SENTIMENTS
from training import checkpoint
from training.checkpoint import Checkpoint
from training.metrics import report
from training.network import device
from training.optimisation import (
    autocast,
    class_weights,
    decay_groups,
    follow,
    warm_up_and_cosine,
)
from training.progress import Progress
from training.text.batches import hide, in_order, padded, shuffled
from training.text.config import Finetuning, TextConfig
from training.text.network import SentimentNetwork, build
from training.text.tokenised import Tokenised, tokenised
from training.text.tweets import Texts

__all__ = ["finetune", "is_finished", "logits_of", "train_one"]

EVALUATION_BATCH: Final = 64
MEMBERS: Final = 1000  # keeps the seeds of members apart
LARGEST_GRADIENT: Final = 1.0  # norm, as is usual for Transformers


def finetune(
    config: TextConfig,
    train: Texts,
    validation: Texts,
    run: Path,
    *,
    progress: Progress,
    each_epoch: Callable[[list[dict[str, float]]], None] = lambda history: None,
    stop_after: int | None = None,
) -> Checkpoint:
    """Train all members, each in a folder of its own, and average their weights.

    A run goes on from its checkpoints. Of the averaged weights after each epoch those with the
    highest balanced accuracy on validation are kept as `best`: the measure by which TweetEval
    judges. With several members, `best` of the run is the mean of theirs.

    Args:
        config: all settings of the run.
        train: the texts to learn from.
        validation: the texts that choose the epoch.
        run: the folder of the checkpoint; it exists.
        progress: where steps are reported.
        each_epoch: called with the scores of all epochs so far, after each one.
        stop_after: end after this many epochs in all, as an interruption would.

    Raises:
        RunError: a checkpoint is damaged, or the disk is full.
    """
    texts, members = tokenised(config, train, validation), config.finetuning.members
    if members == 1:
        return train_one(
            config, texts, run, progress=progress, each_epoch=each_epoch, stop_after=stop_after
        )
    finished = checkpoint.read(run)
    if finished is not None:
        return finished
    before: list[dict[str, float]] = []
    states: list[Checkpoint] = []
    for number in range(1, members + 1):
        folder = run / f"member-{number}"
        folder.mkdir(exist_ok=True)
        state = train_one(
            config,
            texts,
            folder,
            member=number,
            progress=progress,
            each_epoch=partial(_after, each_epoch, tuple(before)),
            stop_after=None if stop_after is None else max(0, stop_after - len(before)),
        )
        if not _is_over(config.finetuning, state):
            return state
        states.append(state)
        before += state.history
    best = _mean([state.best for state in states])
    state = Checkpoint(len(before), sum(s.step for s in states), best, best, {}, {}, best, before)
    network = build(config.network, pretrained=False)
    network.load_state_dict(best)
    scores = _scores(
        network.to(device()), texts.held, texts.held_labels, config.finetuning.precision
    )
    progress.say(f"mean of {members}: " + " ".join(f"{k} {v}" for k, v in scores.items()))
    checkpoint.write(state, run)
    return state


def train_one(
    config: TextConfig,
    texts: Tokenised,
    run: Path,
    *,
    member: int = 0,
    progress: Progress,
    each_epoch: Callable[[list[dict[str, float]]], None] = lambda history: None,
    stop_after: int | None = None,
) -> Checkpoint:
    """Train one network to its last epoch, going on from the checkpoint in `run`.

    Args:
        config: all settings of the run.
        texts: what is learnt from, and what chooses.
        run: the folder of the checkpoint; it exists.
        member: another number, another order of the texts.
        progress: where steps are reported.
        each_epoch: called with the scores of all epochs so far, after each one.
        stop_after: end after this many epochs, as an interruption would.

    Raises:
        RunError: the checkpoint is damaged, or the disk is full.
    """
    settings, place = config.finetuning, device()
    lengths = list(map(len, texts.ids))
    torch.manual_seed(config.data.seed)
    state = checkpoint.read(run)
    network = build(config.network, pretrained=state is None).to(place)
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(
        decay_groups(network, settings.weight_decay), lr=settings.learning_rate
    )
    batches = -(-len(lengths) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, warm_up_and_cosine(settings.epochs * batches, settings.warmup)
    )
    if state is None:
        state = Checkpoint(0, 0, {}, {}, {}, {}, {})
    else:
        network.load_state_dict(state.network)
        average.load_state_dict(state.average)
        optimizer.load_state_dict(state.optimizer)
        schedule.load_state_dict(state.schedule)
    weights = class_weights(texts.labels, len(SENTIMENTS), settings.class_balance).to(place)
    name = f"member {member}" if member else "fine-tuning"
    progress.start(name, total=settings.epochs * batches, done=state.epoch * batches)
    while not _is_over(settings, state) and state.epoch != stop_after:
        # An epoch depends on its number alone, so a resumed run equals an uninterrupted one.
        torch.manual_seed(config.data.seed + state.epoch + MEMBERS * member)
        random = np.random.default_rng((config.data.seed, state.epoch, member))
        network.train()
        total, seen = torch.zeros((), device=place), 0
        for rows in shuffled(lengths, settings.batch_size, random):
            ids, mask = padded([texts.ids[row] for row in rows])
            if settings.masked:
                ids = hide(ids, mask, settings.masked, texts.hidden, random)
            ids, mask = ids.to(place), mask.to(place)
            labels = torch.from_numpy(texts.labels[rows]).to(place)
            with autocast(settings.precision, place):
                _, logits = network(ids, mask)
                loss = functional.cross_entropy(
                    logits.float(), labels, weights, label_smoothing=settings.label_smoothing
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
            optimizer.step()
            schedule.step()
            follow(average, network, settings.ema_decay, state.step)
            state.step += 1
            total += loss.detach() * len(rows)
            seen += len(rows)
            progress.advance()
        scores = _scores(average, texts.held, texts.held_labels, settings.precision)
        history = {
            "epoch": state.epoch + 1,
            "train_loss": round(float(total) / seen, 5),
            **scores,
        }
        better = all(
            scores["balanced_accuracy"] > old["balanced_accuracy"] for old in state.history
        )
        state.epoch += 1
        state.history.append(history)
        state.network, state.average = network.state_dict(), average.state_dict()
        state.optimizer, state.schedule = optimizer.state_dict(), schedule.state_dict()
        if better:
            state.best = copy.deepcopy(state.average)
        checkpoint.write(state, run)
        progress.say(" ".join(f"{name} {value}" for name, value in history.items()))
        each_epoch(state.history)
    progress.finish()
    return state


def is_finished(config: TextConfig, state: Checkpoint) -> bool:
    """Tell whether all epochs were made, or too many in a row were no better."""
    # The mean of several is written when all of them are finished.
    return config.finetuning.members > 1 or _is_over(config.finetuning, state)


def _is_over(settings: Finetuning, state: Checkpoint) -> bool:
    found = [entry["balanced_accuracy"] for entry in state.history]
    waited = len(found) - 1 - found.index(max(found)) if found else 0
    return state.epoch >= settings.epochs or waited >= settings.patience


def _after(
    each_epoch: Callable[[list[dict[str, float]]], None],
    before: Sequence[dict[str, float]],
    history: list[dict[str, float]],
) -> None:
    """Report the epochs of a member behind those of the members before it."""
    each_epoch([*before, *history])


def _mean(weights: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of several state dicts; what is no float is that of the first."""
    return {
        name: torch.stack([one[name] for one in weights]).mean(0)
        if value.is_floating_point()
        else value
        for name, value in weights[0].items()
    }


@torch.no_grad()
def logits_of(
    network: nn.Module, ids: Sequence[Sequence[int]], precision: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the embeddings [n, width] and logits [n, classes] of tokenised texts."""
    network.eval()
    place = device()
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for rows in in_order(list(map(len, ids)), EVALUATION_BATCH):
        shown, mask = padded([ids[row] for row in rows])
        with autocast(precision, place):
            pooled, logits = network(shown.to(place), mask.to(place))
        found.update(
            zip(rows, zip(pooled.float().cpu(), logits.float().cpu(), strict=True), strict=True)
        )
    pairs = [found[row] for row in range(len(ids))]
    return (
        torch.stack([pooled for pooled, _ in pairs]).numpy(),
        torch.stack([logits for _, logits in pairs]).numpy(),
    )


def _scores(
    network: SentimentNetwork,
    ids: Sequence[Sequence[int]],
    labels: NDArray[np.int64],
    precision: str,
) -> dict[str, float]:
    _, logits = logits_of(network, ids, precision)
    found = torch.from_numpy(logits)
    loss = float(functional.cross_entropy(found, torch.from_numpy(labels)))
    scores: dict[str, Any] = report(labels, found.softmax(1).numpy(), SENTIMENTS)
    return {
        "loss": round(loss, 5),
        "accuracy": scores["accuracy"],
        "balanced_accuracy": scores["balanced_accuracy"],
    }
