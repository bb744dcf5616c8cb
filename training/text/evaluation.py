"""Judges a text bundle with exactly the code that serves it."""

import hashlib
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import emoji
import numpy as np
from numpy.typing import NDArray

from models.bundle import TextBundle, load_text_bundle
from models.cleaning import clean_text
from models.head import Head, calibrate
from models.language import guess_language
from models.observation import SENTIMENTS
from models.runtime import thread_count
from models.texts import TextScorer
from training.errors import DataError
from training.metrics import report
from training.text.config import Data
from training.text.tweets import Texts, read_split

__all__ = ["Judged", "Traits", "evaluate", "judge", "judge_test", "softmax", "traits"]

# Words of a cleaned text up to which a band goes; the last one is open.
BANDS: Final = (10, 15, 20, 25)
UNKNOWN: Final = "unknown"  # too short to guess a language
_HASHTAG: Final = re.compile(r"#\w")


@dataclass(frozen=True)
class Traits:
    """What texts have that may make them harder.

    Attributes:
        words: int64 [n], of the cleaned text.
        emoji: bool [n], whether there is one.
        hashtag: bool [n], likewise.
        language: [n], ISO 639-1 codes as guessed, or `unknown`.
    """

    words: NDArray[np.int64]
    emoji: NDArray[np.bool_]
    hashtag: NDArray[np.bool_]
    language: NDArray[np.str_]


@dataclass(frozen=True)
class Judged:
    """What a bundle says about some texts.

    Attributes:
        texts: the texts.
        traits: of the texts.
        uncalibrated: float64 [n, 3], as the head gives them.
        probabilities: float64 [n, 3], calibrated.
    """

    texts: Texts
    traits: Traits
    uncalibrated: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write labels, probabilities and traits; of a text nothing but a hash as its name."""
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            np.savez_compressed(
                file,
                labels=self.texts.labels,
                probabilities=self.probabilities,
                uncalibrated=self.uncalibrated,
                names=np.array([_name(text) for text in self.texts.raw]),
                **vars(self.traits),
            )
        part.replace(path)

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of all texts and, in `groups`, those of some."""
        labels, probabilities = self.texts.labels, self.probabilities
        whole = report(labels, probabilities, SENTIMENTS)
        return {
            "macro_recall": whole["balanced_accuracy"],  # as TweetEval calls it
            **whole,
            "groups": {
                by: {
                    name: _short(report(labels[rows], probabilities[rows], SENTIMENTS))
                    for name, rows in groups.items()
                }
                for by, groups in _groups(self.traits).items()
            },
        }


def evaluate(bundle: Path, data: Path, *, split: str = "test") -> dict[str, Any]:
    """Return the metrics of a bundle's calibrated probabilities on a split.

    Args:
        bundle: the folder of a version, or one with `ACTIVE`.
        data: a folder with a tab-separated file for each split.
        split: `train`, `val` or `test`.

    Raises:
        BundleError: the bundle is refused.
        DataError: the data cannot be read.
    """
    if not data.is_dir():
        raise DataError(f"{data} is no folder; a text bundle is judged on one with {split}.tsv")
    checked = load_text_bundle(bundle)
    cleaning = checked.manifest.preprocessing.cleaning
    texts = read_split(Data(name=data.name or "data", path=str(data)), cleaning, Path(), split)
    found = judge(checked, texts).metrics()
    return {"bundle": checked.manifest.version, "split": split, "dropped": texts.dropped, **found}


def judge_test(folder: Path, version: str, texts: Texts, predictions: Path) -> dict[str, Any]:
    """Judge a bundle on the test split, for its manifest; predictions are written to a file.

    Args:
        folder: of the bundle, which may not have its final name yet.
        version: that it will have.
        texts: of the test split.
        predictions: the file.
    """
    checked = load_text_bundle(folder)
    judged = judge(checked, texts)
    judged.save(predictions)
    about = {"bundle": version, "split": "test", "dropped": texts.dropped}
    return {
        "test": {**about, **judged.metrics()},
        "encoder_bytes": checked.encoder.stat().st_size,
    }


def judge(bundle: TextBundle, texts: Texts) -> Judged:
    """Return a bundle's probabilities for texts that were cleaned as the bundle asks."""
    with ThreadPoolExecutor(thread_count(0)) as pool:
        features = TextScorer(bundle, pool=pool).features(texts.cleaned)
    if bundle.manifest.head == "xgboost":
        raw = Head(bundle).predict_raw(features).astype(np.float64)
    else:
        raw = softmax(features)
    calibrated = calibrate(raw, bundle.calibration.temperature)
    return Judged(texts, traits(texts, bundle), raw, calibrated)


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return probabilities float64 [n, classes] of logits [n, classes]."""
    exact = logits.astype(np.float64)
    exponentials = np.exp(exact - exact.max(axis=1, keepdims=True, initial=-np.inf))
    found: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return found


def traits(texts: Texts, bundle: TextBundle) -> Traits:
    """Return the traits of texts; a bundle says how their language is guessed from."""
    cleaning = bundle.manifest.preprocessing.cleaning
    guessed = [guess_language(clean_text(text, cleaning).unnamed) for text in texts.raw]
    return Traits(
        words=np.array([len(text.split()) for text in texts.cleaned], np.int64),
        emoji=np.array([emoji.emoji_count(text) > 0 for text in texts.raw]),
        hashtag=np.array([_HASHTAG.search(text) is not None for text in texts.raw]),
        language=np.array([language or UNKNOWN for language in guessed]),
    )


def _groups(found: Traits) -> Mapping[str, dict[str, NDArray[np.int64]]]:
    """Return the rows of each group that has any, by what it is told apart by."""
    bands = np.searchsorted(BANDS, found.words)
    lengths = [
        *(f"{low + 1} to {high} words" for low, high in zip((0, *BANDS), BANDS, strict=False)),
        f"more than {BANDS[-1]} words",
    ]
    english = np.where(found.language == "en", "en", "other")
    english = np.where(found.language == UNKNOWN, UNKNOWN, english)
    masks = {
        "length": {name: bands == place for place, name in enumerate(lengths)},
        "emoji": {"with": found.emoji, "without": ~found.emoji},
        "hashtag": {"with": found.hashtag, "without": ~found.hashtag},
        "language": {name: english == name for name in ("en", "other", UNKNOWN)},
    }
    return {
        by: {name: np.flatnonzero(mask) for name, mask in groups.items() if mask.any()}
        for by, groups in masks.items()
    }


def _short(found: dict[str, Any]) -> dict[str, Any]:
    wanted = ("n", "accuracy", "balanced_accuracy", "macro_f1", "ece")
    return {name: found[name] for name in wanted}


def _name(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
