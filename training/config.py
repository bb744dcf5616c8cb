"""The typed settings of a training run, read from TOML."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.errors import ConfigError

__all__ = ["Config", "Source", "keep_with_run", "load", "read_toml", "validated"]

CONFIG_FILE = "config.json"
CHOICE_OF_EPOCH = ("best_by", "patience")
LATER_STAGES = {"head", "export", "light", "classical"}
ModelT = TypeVar("ModelT", bound=BaseModel)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Class = Literal["", "surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]


class Source(_Section):
    """One data set: how it is kept, where, and what its class names mean here."""

    name: str = Field(min_length=1)
    format: Literal["rafdb", "ferplus", "folder", "csv", "feedback", "drawn"]
    path: str = ""  # relative to the data folder
    # From its class names to one of EXPRESSIONS, or to "" for a class that is left out.
    classes: dict[str, Class] = {}


class Data(_Section):
    """The data sets. The first one is the target: its faces choose, and its test split judges."""

    sources: tuple[Source, ...] = Field(
        default=(Source(name="rafdb", format="rafdb", path="rafdb.tar"),), min_length=1
    )
    photographs: str = ""  # whole photographs with labelled boxes, for the card alone
    # The part of the target's training split that is held out where it has no validation split.
    validation_fraction: float = Field(default=0.08, gt=0, lt=0.5)
    seed: int = Field(default=20, ge=0)

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [source.name for source in self.sources]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"data.sources: the name {twice[0]!r} is given twice")
        return self


class Network(_Section):
    """The encoder: a timm architecture and the pinned asset with its ImageNet weights."""

    architecture: str = "tf_efficientnet_lite0"
    weights: str = "efficientnet_lite0"  # a name in models/assets.py; "none" starts from noise
    input_size: int = Field(default=112, ge=32, le=512)  # pixels
    dropout: float = Field(default=0.2, ge=0, lt=1)
    drop_path: float = Field(default=0.0, ge=0, lt=1)  # stochastic depth, Huang et al. 2016


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


class Phase(_Section):
    """Some epochs on some of the data sets; each phase starts from the average of the last."""

    sources: tuple[str, ...] = Field(min_length=1)  # names from data.sources
    # Of these sources an epoch sees so many faces of each class, drawn anew each time.
    at_most: dict[str, Annotated[int, Field(ge=1)]] = {}
    epochs: int = Field(ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)  # the peak of the cycle
    warmup: float = Field(default=0.15, gt=0, lt=1)  # share of the phase's steps before the peak
    input_size: int | None = Field(
        default=None, ge=32, le=512
    )  # pixels; the network's own if unset
    frozen_stages: int = Field(default=0, ge=0)  # 1: the stem, 2: and the first stage, …
    mixup: float = Field(default=0.0, ge=0)  # alpha of Zhang et al. 2018; 0 is off
    # Share of what teachers say of a face in the target of this phase; it softens wrong labels.
    # From a half on, teachers who are sure of another class overrule the label.
    taught: float = Field(default=0.0, ge=0, le=1)
    # Folders of finished runs, as in "runs/teacher". Without one, the average of the last phase
    # teaches.
    teachers: tuple[Path, ...] = ()
    class_balance: float = Field(default=0.0, ge=0, le=1)  # weight of a class: count ** -this

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if self.teachers and not self.taught:
            raise ValueError("teachers have no say while taught is 0")
        if other := sorted(self.at_most.keys() - set(self.sources)):
            raise ValueError(f"at_most: {other[0]!r} is none of the sources of this phase")
        return self


class Finetuning(_Section):
    """AdamW, one warm-up and cosine cycle a phase, and a moving average of the weights (EMA)."""

    seed: int = Field(default=0, ge=0)  # another one, another network from the same data
    batch_size: int = Field(default=64, ge=2)
    weight_decay: float = Field(default=0.02, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    ema_decay: float = Field(default=0.998, ge=0, lt=1)  # a step
    # What chooses among the epochs of the last phase, on validation: the loss, or the mean of
    # accuracy and balanced accuracy. The loss of a network that has become too sure of itself
    # grows while its accuracy does; a temperature is fitted later and takes that back.
    best_by: Literal["loss", "accuracy"] = "loss"
    patience: int = Field(default=5, ge=1)  # epochs of the last phase without a better one
    precision: Literal["bf16", "fp32"] = "bf16"
    compiled: bool = True  # by torch.compile, where there is a C++ compiler: a third faster
    phases: tuple[Phase, ...] = Field(default=(Phase(sources=("rafdb",), epochs=16),), min_length=1)


class Head(_Section):
    """The search that compares heads on the encoder's features, and the XGBoost head that ships."""

    search: bool = True  # False: the parameters below are used as they are
    folds: int = Field(default=3, ge=3, le=10)
    # The slower heads see this many principal components in the search; 0 is all features. With
    # 256 of a Lite0's 1280, no head was better on validation faces than with 64 (by balanced
    # accuracy: linear 0.751 either way, LightGBM 0.745 for 0.746, forest 0.738 for 0.746), for
    # twice the processor time.
    components: int = Field(default=64, ge=0)
    search_rounds: int = Field(default=100, ge=1)  # of a booster in a fold: bounds the search
    trees: int = Field(default=200, ge=1)  # of the random forest
    adasyn_neighbours: int = Field(default=5, ge=1)
    # Classes smaller than this share of the largest are filled up to it.
    adasyn_share: float = Field(default=0.5, gt=0, le=1)

    # So many changed copies of each training face join the fit of the head that ships.
    views: int = Field(default=0, ge=0, le=10)

    # Share of the encoder's own classifier in what the shipped trees learn from; the rest is the
    # label. Taught trees are better calibrated. Needs export.logits.
    taught: float = Field(default=0.0, ge=0, le=1)

    # XGBoost. The search starts from these, and overrides what it tries.
    resampling: Literal["none", "weights", "adasyn"] = "none"
    weight_power: float = Field(default=0.5, ge=0, le=1)  # weight of a class: count ** -this
    max_rounds: int = Field(default=300, ge=1)
    patience: int = Field(default=30, ge=1)  # rounds without a lower validation loss
    depth: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    row_share: float = Field(default=0.8, gt=0, le=1)
    feature_share: float = Field(default=0.3, gt=0, le=1)
    min_child_weight: float = Field(default=2.0, ge=0)
    l2: float = Field(default=2.0, ge=0)


class Export(_Section):
    """What the encoder gives, and the number format in which the bundle gets it."""

    logits: bool = False  # the classifier's logits follow the features
    mirrored: bool = False  # the mean over a face and its mirror image, for 1.7 times the cost
    # "auto" takes the fastest one that keeps the accuracy; fp32 is the same on every CPU.
    precision: Literal["auto", "fp32", "fp16", "int8"] = "fp32"
    cost: bool = False  # the model card compares the time of a face with EfficientNet-B0's
    remark: str = ""  # for the model card: what its reader should know about how it was made


class Config(_Section):
    """All settings of a run."""

    data: Data = Data()
    network: Network = Network()
    augmentation: Augmentation = Augmentation()
    finetuning: Finetuning = Finetuning()
    head: Head = Head()
    export: Export = Export()

    @model_validator(mode="after")
    def _teacher(self) -> Self:
        if self.head.taught and not self.export.logits:
            raise ValueError("head.taught needs export.logits = true, where the teacher speaks")
        return self


def load(path: Path) -> Config:
    """Read settings from a TOML file.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or out of range.
    """
    return validated(Config, path)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the settings {path}: {error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def validated(model: type[ModelT], path: Path) -> ModelT:
    """Read a TOML file as settings of a kind.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or out of range.
    """
    try:
        return model.model_validate(read_toml(path))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        )
        raise ConfigError(f"wrong settings in {path}: {wrong}") from error


def keep_with_run(config: BaseModel, data_sha256: Mapping[str, str], run: Path) -> None:
    """Write the settings and the data's hash into a new run, or check them against an old one's.

    The settings of the head and of the export are left out: another head may be fitted on the same
    encoder, and what it was fitted with stands beside it. So are those of fine-tuning that only
    say when it ends and which epoch is kept.

    Raises:
        ConfigError: the run was started with other settings or other data; the message names them.
    """
    ours = {
        **config.model_dump(mode="json", exclude=LATER_STAGES),
        "data_sha256": dict(data_sha256),
    }
    path = run / CONFIG_FILE
    if not path.exists():
        run.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(ours, indent=2) + "\n", encoding="utf-8")
        return
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}); remove it if {run} is yours") from error
    for settings in (theirs, ours):
        settings["finetuning"] = {
            name: value
            for name, value in settings["finetuning"].items()
            if name not in CHOICE_OF_EPOCH
        }
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
