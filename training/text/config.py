"""The typed settings of a run on texts, read from TOML."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.options import TextCleaning
from training.config import Head, read_toml, validated

__all__ = ["TextConfig", "is_text", "load"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Section):
    """What is learnt from.

    The format `tsv` is a folder with `train.tsv`, `val.tsv` and `test.tsv`: a heading, then label
    TAB text. `written` are the sentences of `training.text.written`, which need no folder.
    """

    name: str = Field(default="tweets", min_length=1)
    format: Literal["tsv", "written"] = "tsv"
    path: str = "text_sentiment"  # relative to the data folder
    terms: str = "Twitter terms; research"
    at_most: int = Field(default=0, ge=0)  # of each split, drawn with the seed; 0 is all
    seed: int = Field(default=20, ge=0)


class Network(_Section):
    """The encoder: a pinned asset, or a folder in the layout of Hugging Face."""

    weights: str = "minilm"
    layers: int = Field(default=0, ge=0)  # the first so many are used; 0 is all
    max_tokens: int = Field(default=64, ge=8, le=512)
    dropout: float = Field(default=0.1, ge=0, lt=1)


class Finetuning(_Section):
    """AdamW, one warm-up and cosine cycle, and a moving average of the weights (EMA)."""

    epochs: int = Field(default=4, ge=1)
    batch_size: int = Field(default=32, ge=2)
    learning_rate: float = Field(default=1e-4, gt=0)  # the peak of the cycle
    warmup: float = Field(default=0.1, gt=0, lt=1)  # share of the steps before the peak
    weight_decay: float = Field(default=0.01, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    ema_decay: float = Field(default=0.999, ge=0, lt=1)  # a step
    class_balance: float = Field(default=1.0, ge=0, le=1)  # weight of a class: count ** -this
    masked: float = Field(default=0.05, ge=0, lt=1)  # share of the words that are hidden
    # So many networks are trained, each on another order of the texts; the mean of their weights
    # ships ("model soups", Wortsman et al. 2022, arXiv:2203.05482).
    members: int = Field(default=1, ge=1)
    patience: int = Field(default=3, ge=1)  # epochs without a better one
    precision: Literal["bf16", "fp32"] = "bf16"


class Light(_Section):
    """The model without a Transformer: TF-IDF of word pieces and pairs, and a linear classifier."""

    buckets: int = Field(default=1 << 17, ge=16, le=1 << 22)  # that pairs of word pieces share
    fewest: int = Field(default=2, ge=1)  # texts with a word piece or pair, or it has no say
    # C of scikit-learn's logistic regression; the best on validation is taken.
    regularisation: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(0.25, 1.0, 4.0), min_length=1
    )
    remark: str = ""  # for its model card


class Classical(_Section):
    """The comparison of models that people used before Transformers."""

    search: bool = True
    folds: int = Field(default=3, ge=3, le=10)
    # So many texts, drawn with the seed, take part in the folds; 0 is all. What is best there is
    # fitted on all texts before validation judges it.
    rows: int = Field(default=12_000, ge=0)
    max_features: int = Field(default=40_000, ge=100)  # of words, and of runs of characters
    # Trees see so many of the words that are most frequent: more cost time without gain.
    tree_features: int = Field(default=3000, ge=50)
    rounds: int = Field(default=150, ge=1)  # of a booster
    trees: int = Field(default=150, ge=1)  # of the random forest


class Export(_Section):
    """The number format of the encoder in the bundle."""

    # "auto" takes int8 where validation loses no more than 0.3 points, else fp16.
    precision: Literal["auto", "fp32", "fp16", "int8"] = "auto"
    remark: str = ""  # for the model card


class TextConfig(_Section):
    """All settings of a run on texts."""

    kind: Literal["text"]
    data: Data = Data()
    cleaning: TextCleaning = TextCleaning()
    network: Network = Network()
    finetuning: Finetuning = Finetuning()
    head: Head = Head()
    light: Light = Light()
    classical: Classical = Classical()
    export: Export = Export()


def is_text(path: Path) -> bool:
    """Tell whether a file of settings is for texts.

    Raises:
        ConfigError: it cannot be read.
    """
    return read_toml(path).get("kind") == "text"


def load(path: Path) -> TextConfig:
    """Read settings from a TOML file.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or out of range.
    """
    return validated(TextConfig, path)
