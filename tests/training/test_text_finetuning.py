"""Fine-tuning on tiny texts: it learns, an interruption changes nothing, members are averaged."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason='needs torch: pip install "sentistream[train]"')
pytest.importorskip("transformers", reason='needs transformers: pip install "sentistream[train]"')

from tiny_text import write_config, write_splits, write_weights  # noqa: E402

from models.options import TextCleaning  # noqa: E402
from training import checkpoint  # noqa: E402
from training.errors import RunError  # noqa: E402
from training.progress import Progress  # noqa: E402
from training.text.config import TextConfig, load  # noqa: E402
from training.text.finetuning import finetune, is_finished  # noqa: E402
from training.text.tweets import Texts, read_split  # noqa: E402


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TextConfig:
    folder = tmp_path_factory.mktemp("weights")
    return load(write_config(folder / "tiny.toml", write_weights(folder / "weights")))


@pytest.fixture(scope="module")
def texts(config: TextConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Texts, Texts]:
    root = tmp_path_factory.mktemp("data")
    write_splits(root / "tweets")
    train, held = (
        read_split(config.data, TextCleaning(), root, split) for split in ("train", "val")
    )
    return train, held


def tune(
    config: TextConfig, texts: tuple[Texts, Texts], run: Path, stop_after: int | None = None
) -> checkpoint.Checkpoint:
    run.mkdir(exist_ok=True)
    return finetune(config, *texts, run, progress=Progress(), stop_after=stop_after)


def of_two(config: TextConfig) -> TextConfig:
    return config.model_copy(
        update={"finetuning": config.finetuning.model_copy(update={"members": 2})}
    )


def test_it_learns_and_keeps_the_epoch_with_the_best_balanced_accuracy(
    config: TextConfig, texts: tuple[Texts, Texts], tmp_path: Path
) -> None:
    state = tune(config, texts, tmp_path)
    scores = [entry["balanced_accuracy"] for entry in state.history]
    assert is_finished(config, state)
    assert max(scores) > 0.5  # chance is a third
    if scores[-1] > max(scores[:-1]):
        assert all(torch.equal(state.best[name], state.average[name]) for name in state.best)


def test_a_resumed_run_equals_an_uninterrupted_one(
    config: TextConfig, texts: tuple[Texts, Texts], tmp_path: Path
) -> None:
    whole = tune(config, texts, tmp_path / "whole")
    assert not is_finished(config, tune(config, texts, tmp_path / "cut", stop_after=1))
    resumed = tune(config, texts, tmp_path / "cut")
    assert resumed.history == whole.history
    assert all(torch.equal(resumed.best[name], whole.best[name]) for name in whole.best)


def test_the_weights_of_members_are_averaged_also_after_an_interruption(
    config: TextConfig, texts: tuple[Texts, Texts], tmp_path: Path
) -> None:
    two = of_two(config)
    for stop_after in (1, 2, 3):  # inside the first member, between the two, inside the second
        tune(two, texts, tmp_path, stop_after=stop_after)
        assert checkpoint.read(tmp_path) is None  # nothing that could be exported
    state = tune(two, texts, tmp_path)
    members = [checkpoint.read(tmp_path / f"member-{number}") for number in (1, 2)]
    first, second = (member.best for member in members if member is not None)
    name = "classifier.weight"
    assert not torch.equal(first[name], second[name])
    assert torch.allclose(state.best[name], (first[name] + second[name]) / 2)
    assert is_finished(two, state)
    assert [entry["epoch"] for entry in state.history] == [1, 2, 1, 2]
    whole = tune(two, texts, tmp_path / "whole")
    assert torch.equal(state.best[name], whole.best[name])


def test_a_damaged_checkpoint_is_named(
    config: TextConfig, texts: tuple[Texts, Texts], tmp_path: Path
) -> None:
    tune(config, texts, tmp_path, stop_after=1)
    (tmp_path / "checkpoint.pt").write_bytes(b"cut off")
    with pytest.raises(RunError, match=r"checkpoint\.pt is no checkpoint"):
        tune(config, texts, tmp_path)
