"""The models without a Transformer, and the settings that are tried of each."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion
from sklearn.svm import LinearSVC
from sklearn.utils.class_weight import compute_sample_weight
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
from xgboost import XGBClassifier

from models.runtime import thread_count
from training.text.config import Classical

__all__ = ["Candidate", "Lexicon", "candidates", "vectorise"]

# What a vectoriser reads: words and pairs of them, runs of characters within a word, or both.
WORDS: Final = ("word",)
CHARACTERS: Final = ("char_wb",)
BOTH: Final = ("word", "char_wb")
RANGES: Final = {"word": (1, 2), "char_wb": (2, 5)}
FEWEST: Final = 2  # texts that have a feature
STEPS: Final = 300  # of the linear models
# Of VADER's compound score, -1 to 1: between them a text is neutral (Hutto and Gilbert 2014).
NEGATIVE, POSITIVE = -0.05, 0.05


@dataclass(frozen=True)
class Candidate:
    """One model with one choice of settings.

    Attributes:
        name: of the model.
        vectors: what `vectorise` makes its features of; empty for a model that reads the text.
        params: the choice.
        model: not fitted, and without the choice.
        resampling: what is done about the sizes of the classes.
    """

    name: str
    vectors: dict[str, int]
    params: dict[str, Any]
    model: Any = field(repr=False)
    resampling: str = "weights"

    @property
    def cleaned(self) -> bool:
        """Whether it gets cleaned texts."""
        return bool(self.vectors)

    @property
    def told(self) -> dict[str, Any]:
        """The choice and the features, for people."""
        if not self.vectors:
            return self.params
        features = " + ".join(
            f"{name.removesuffix('_wb')} {RANGES[name][0]}-{RANGES[name][1]}"
            for name in self.vectors
        )
        return {"features": features, **self.params}

    def fit(self, features: Any, labels: NDArray[np.int64]) -> Any:  # noqa: ANN401
        """Return the model fitted on features [n, k] and labels [n], all classes weighing alike."""
        model = clone(self.model, safe=False)
        if self.params:
            model.set_params(**self.params)
        weights = compute_sample_weight("balanced", labels)
        with warnings.catch_warnings():
            # What it has found after so many steps is good enough to compare.
            warnings.simplefilter("ignore", ConvergenceWarning)
            # LightGBM names the columns of an array itself, and scikit-learn misses them later.
            warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
            return model.fit(features, labels, sample_weight=weights)


class Lexicon:
    """VADER: a list of words with their sentiment and rules for negation and emphasis."""

    NAME: Final = "vader"

    def fit(
        self, texts: Sequence[str], labels: NDArray[np.int64], sample_weight: NDArray[np.float64]
    ) -> Self:
        """Learn nothing."""
        del texts, labels, sample_weight
        return self

    def predict(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the places of the sentiments of texts as they were written, int64 [n]."""
        reader = SentimentIntensityAnalyzer()
        scores = [reader.polarity_scores(text)["compound"] for text in texts]
        places: NDArray[np.int64] = np.digitize(scores, [NEGATIVE, POSITIVE]).astype(np.int64)
        return places


class _AsTheyAre:
    """Gives texts as they are, in the place of a vectoriser."""

    def fit_transform(self, texts: Sequence[str]) -> Sequence[str]:
        return texts

    def transform(self, texts: Sequence[str]) -> Sequence[str]:
        return texts


def vectorise(vectors: dict[str, int]) -> Any:  # noqa: ANN401
    """Return what turns texts into TF-IDF features, not fitted.

    Args:
        vectors: the most features of each kind, `word` or `char_wb`.
    """
    if not vectors:
        return _AsTheyAre()
    return FeatureUnion(
        [
            (
                kind,
                TfidfVectorizer(
                    analyzer=kind,
                    ngram_range=RANGES[kind],
                    min_df=FEWEST,
                    max_features=most,
                    sublinear_tf=True,
                    dtype=np.float32,
                    # Words may be signs, which carry sentiment as well.
                    token_pattern=r"\w+|[^\w\s]+" if kind == "word" else None,
                ),
            )
            for kind, most in vectors.items()
        ]
    )


def candidates(settings: Classical, seed: int) -> list[Candidate]:
    """Return every model with all settings that are tried of it.

    Args:
        settings: of the comparison.
        seed: of the models.
    """
    threads = thread_count(0)
    xgboost = XGBClassifier(
        n_estimators=settings.rounds,
        learning_rate=0.2,
        tree_method="hist",
        random_state=seed,
        n_jobs=threads,
    )
    lightgbm = LGBMClassifier(
        n_estimators=settings.rounds,
        random_state=seed,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
        n_jobs=threads,
    )
    forest = RandomForestClassifier(settings.trees, random_state=seed, n_jobs=threads)
    regression = LogisticRegression(max_iter=STEPS)
    machine = LinearSVC(max_iter=STEPS, random_state=seed)
    found = [Candidate(Lexicon.NAME, {}, {}, Lexicon(), "none")]
    for kinds in (WORDS, CHARACTERS, BOTH):
        vectors = dict.fromkeys(kinds, settings.max_features)
        found += [
            Candidate(name, vectors, {"C": strength}, model)
            for name, model, strengths in (
                ("logistic_regression", regression, (0.5, 2.0)),
                ("linear_svm", machine, (0.05, 0.2)),
            )
            for strength in strengths
        ]
    words = {"word": settings.tree_features}
    found += [
        Candidate(name, words, {choice: value}, model)
        for name, model, choice, values in (
            ("xgboost", xgboost, "max_depth", (4, 8)),
            ("lightgbm", lightgbm, "num_leaves", (15, 63)),
            ("random_forest", forest, "min_samples_leaf", (1, 5)),
        )
        for value in values
    ]
    return found
