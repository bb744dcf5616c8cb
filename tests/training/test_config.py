"""Settings of a run: typed, and kept with it."""

from pathlib import Path
from typing import get_args

import pytest

from models.observation import EXPRESSIONS
from training.config import Class, Config, Finetuning, Head, Network, keep_with_run, load
from training.errors import ConfigError
from training.text.config import is_text
from training.text.config import load as load_text

DATA = {"rafdb": "hash"}


def test_classes_are_mapped_to_the_expressions_or_left_out() -> None:
    assert get_args(Class) == ("", *EXPRESSIONS)


@pytest.mark.parametrize("path", sorted(Path("training/configs").glob("*.toml")), ids=str)
def test_the_committed_settings_are_valid(path: Path) -> None:
    if is_text(path):
        assert load_text(path).kind == "text"
        return
    settings = load(path)
    names = {source.name for source in settings.data.sources}
    assert all(names.issuperset(phase.sources) for phase in settings.finetuning.phases)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[finetuning]\nepoch = 3", "finetuning.epoch: Extra inputs"),
        ("[finetuning]\nbatch_size = 0", "finetuning.batch_size: Input should be greater"),
        ('[[data.sources]]\nname = "x"\nformat = "zip"', "data.sources.0.format: Input should be"),
        (
            '[[data.sources]]\nname = "x"\nformat = "csv"\nclasses = {joy = "joy"}',
            "data.sources.0.classes.joy: Input should be",
        ),
        (
            '[[data.sources]]\nname = "x"\nformat = "csv"\n' * 2,
            "the name 'x' is given twice",
        ),
        (
            '[[finetuning.phases]]\nsources = ["x"]\nepochs = 1\nat_most = {y = 3}',
            "at_most: 'y' is none of the sources of this phase",
        ),
        ("[head]\ntaught = 1.0", "head.taught needs export.logits = true"),
        ("[network", "not valid TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load(tmp_path / "absent.toml")


def test_a_run_goes_on_with_the_same_settings_and_data(tmp_path: Path) -> None:
    keep_with_run(Config(), DATA, tmp_path / "run")
    keep_with_run(Config(), DATA, tmp_path / "run")


def test_a_run_refuses_other_settings_and_names_them(tmp_path: Path) -> None:
    keep_with_run(Config(), DATA, tmp_path)
    other = Config(finetuning=Finetuning(batch_size=32), network=Network(dropout=0.5))
    with pytest.raises(ConfigError) as caught:
        keep_with_run(other, DATA, tmp_path)
    assert "finetuning.batch_size: 64 there, 32 now" in str(caught.value)
    assert "network.dropout: 0.2 there, 0.5 now" in str(caught.value)
    assert "--run" in str(caught.value)


def test_a_run_refuses_other_data(tmp_path: Path) -> None:
    keep_with_run(Config(), DATA, tmp_path)
    with pytest.raises(ConfigError, match="data_sha256"):
        keep_with_run(Config(), {"rafdb": "other"}, tmp_path)


def test_another_head_may_be_fitted_in_the_same_run(tmp_path: Path) -> None:
    keep_with_run(Config(), DATA, tmp_path)
    keep_with_run(Config(head=Head(max_rounds=5)), DATA, tmp_path)


def test_a_damaged_record_of_the_settings_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{half")
    with pytest.raises(ConfigError, match=r"config\.json is damaged"):
        keep_with_run(Config(), DATA, tmp_path)
