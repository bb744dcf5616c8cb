"""Settings of a run: typed, and kept with it."""

from pathlib import Path

import pytest

from training.config import Config, Finetuning, Head, Network, keep_with_run, load
from training.errors import ConfigError


def test_the_committed_settings_are_the_defaults() -> None:
    assert load(Path("training/face.toml")) == Config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[finetuning]\nepoch = 3", "finetuning.epoch: Extra inputs"),
        ("[finetuning]\nepochs = 0", "finetuning.epochs: Input should be greater"),
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
    keep_with_run(Config(), "data", tmp_path / "run")
    keep_with_run(Config(), "data", tmp_path / "run")


def test_a_run_refuses_other_settings_and_names_them(tmp_path: Path) -> None:
    keep_with_run(Config(), "data", tmp_path)
    other = Config(finetuning=Finetuning(epochs=3), network=Network(dropout=0.5))
    with pytest.raises(ConfigError) as caught:
        keep_with_run(other, "data", tmp_path)
    assert "finetuning.epochs: 16 there, 3 now" in str(caught.value)
    assert "network.dropout: 0.2 there, 0.5 now" in str(caught.value)
    assert "--run" in str(caught.value)


def test_a_run_refuses_other_data(tmp_path: Path) -> None:
    keep_with_run(Config(), "data", tmp_path)
    with pytest.raises(ConfigError, match="data_sha256"):
        keep_with_run(Config(), "other", tmp_path)


def test_another_head_may_be_fitted_in_the_same_run(tmp_path: Path) -> None:
    keep_with_run(Config(), "data", tmp_path)
    keep_with_run(Config(head=Head(depth=5)), "data", tmp_path)
