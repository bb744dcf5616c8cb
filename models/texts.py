"""Scores texts: cleaning, word pieces, encoder, head."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import TextBundle
from models.cleaning import Cleaned, clean_text
from models.errors import BundleError, ContentError
from models.head import Head, calibrate
from models.language import guess_language
from models.observation import Observation, observe_text
from models.reference import Coordinates, Projector
from models.runtime import thread_count
from models.text_encoder import TextEncoder
from models.tokens import Tokenizer

__all__ = ["Text", "TextScorer"]

EMPTY: Final = "nothing is left of the text without white space, names of users and links"


@dataclass(frozen=True, slots=True)
class Text:
    """One scored text.

    Attributes:
        probabilities: three calibrated floats in the order of `SENTIMENTS`.
        observation: the same as integers.
        language: guessed, ISO 639-1; None for a text too short to tell.
        foreign: whether that is none that the model was trained on.
        cut: whether the text was longer than the model takes.
        coordinates: its place in the bundle's reference; None where there is none.
    """

    probabilities: tuple[float, ...]
    observation: Observation
    language: str | None = None
    foreign: bool = False
    cut: bool = False
    coordinates: Coordinates | None = field(default=None, repr=False)


class TextScorer:
    """Tokenizer, encoder and head of one text bundle."""

    def __init__(self, bundle: TextBundle, threads: int = 0, pool: Executor | None = None) -> None:
        """Open the models.

        Args:
            bundle: tokenizer, encoder, head and calibration.
            threads: of the head; 0 takes the cores.
            pool: runs batches of the encoder side by side, each on one thread.

        Raises:
            BundleError: the bundle does not fit.
        """
        manifest = bundle.manifest
        self.bundle = bundle
        self._pool = pool
        self._cleaning = manifest.preprocessing.cleaning
        self._known = manifest.preprocessing.languages
        self._tokenizer = Tokenizer(bundle.tokenizer, manifest.preprocessing.max_tokens)
        self._encoder = TextEncoder(bundle.encoder, manifest.feature_count)
        self._head = Head(bundle, thread_count(threads)) if manifest.head == "xgboost" else None
        if self._head is None and manifest.feature_count != len(manifest.classes):
            raise BundleError(
                f"{bundle.folder}: a head of the kind softmax takes {len(manifest.classes)} "
                f"logits, the encoder gives {manifest.feature_count}"
            )
        self._project = Projector(bundle.reference) if bundle.reference else None
        self._check()

    def score(self, texts: Sequence[str]) -> list[Text | ContentError]:
        """Score texts in one go.

        Returns:
            One entry per text, in order: its result, or `empty_text`.
        """
        cleaned = [clean_text(text, self._cleaning) for text in texts]
        kept = [row for row, found in enumerate(cleaned) if found.text]
        results: list[Text | ContentError] = [ContentError("empty_text", EMPTY)] * len(texts)
        tokens = self._tokenizer.encode([cleaned[row].text for row in kept])
        features = self._encoder.encode([found.ids for found in tokens], self._pool)
        shares = self.from_features(features).tolist()
        places = [None] * len(kept) if self._project is None else self._project(features)
        for row, found, share, place in zip(kept, tokens, shares, places, strict=True):
            results[row] = self._text(cleaned[row], found.cut, tuple(share), place)
        return results

    def features(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the features [n, feature_count] of texts that are cleaned and not empty."""
        ids = [found.ids for found in self._tokenizer.encode(texts)]
        return self._encoder.encode(ids, self._pool)

    def probabilities(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Return calibrated probabilities [n, 3] of texts as word pieces."""
        return self.from_features(self._encoder.encode(ids, self._pool))

    def from_features(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return calibrated probabilities [n, 3] of what the encoder gives."""
        if self._head is not None:
            return self._head.predict(features)
        return self.from_logits(features)

    def from_logits(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return calibrated probabilities [n, 3] where the encoder gives logits [n, 3]."""
        exact = logits.astype(np.float64)
        exponentials = np.exp(exact - exact.max(axis=1, keepdims=True, initial=-np.inf))
        shares = exponentials / exponentials.sum(axis=1, keepdims=True)
        return calibrate(shares, self.bundle.calibration.temperature)

    def classify(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return calibrated probabilities [n, 3] of texts that are cleaned."""
        return self.probabilities([found.ids for found in self._tokenizer.encode(texts)])

    def words(self, text: str) -> list[str]:
        """Return the words of a text as the model sees them, no more than it may have pieces."""
        words = clean_text(text, self._cleaning).text.split()
        return words[: self.bundle.manifest.preprocessing.max_tokens]

    def _check(self) -> None:
        """See that tokenizer and encoder go together."""
        folder = self.bundle.folder
        if not self._tokenizer.encode([""])[0].ids:
            raise BundleError(
                f"{folder}: the tokenizer adds no marks of beginning and end, so a text of unknown "
                "signs would be nothing to the encoder"
            )
        last = self._tokenizer.size - 1
        try:
            features = self._encoder.encode([[0, last]])
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise BundleError(
                f"{folder}: the encoder cannot take the numbers of the tokenizer, 0 to {last}: "
                f"{error}"
            ) from error
        if not np.isfinite(features).all():
            raise BundleError(f"{folder}: the encoder gives what is no number")

    def _text(
        self,
        cleaned: Cleaned,
        cut: bool,
        probabilities: tuple[float, ...],
        coordinates: Coordinates | None,
    ) -> Text:
        language = guess_language(cleaned.unnamed)
        return Text(
            probabilities,
            observe_text(probabilities),
            language,
            language is not None and language not in self._known,
            cut or cleaned.cut,
            coordinates,
        )
