"""Why a result is what it is: the words that moved it, and what else a face may express."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from models.observation import EXPRESSIONS
from models.prediction import DIGITS
from models.scorer import Face, Scored
from models.texts import TextScorer

__all__ = ["Word", "explanation", "moving_words"]

MOST_WORDS: Final = 5
MOST_EXPRESSIONS: Final = 3


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text as the model sees it.

    Attributes:
        word: cleaned, without spaces.
        effect: how much less probable the sentiment of the text is without this word, -1 to 1;
            negative where the word speaks against it.
    """

    word: str
    effect: float


def moving_words(scorer: TextScorer, text: str) -> tuple[list[Word], int]:
    """Return every word with its effect on the result, the largest first, by occlusion.

    The text is scored whole and once more without each of its words (Zeiler and Fergus 2014,
    "Visualizing and Understanding Convolutional Networks", on words instead of patches).

    Args:
        scorer: the models.
        text: as it came.

    Returns:
        The words, and what they cost: passes of the encoder, one more than there are words within
        the model's limit. They run in batches, so a text of 30 words costs some 30 texts.
    """
    words = scorer.words(text)
    if not words:
        return [], 0
    without = [" ".join([*words[:at], *words[at + 1 :]]) for at in range(len(words))]
    # Unless there is another word the model would be given nothing.
    shown = [" ".join(words), *without] if len(words) > 1 else [" ".join(words)]
    shares = scorer.classify(shown)
    best = int(shares[0].argmax())
    effects = (shares[0, best] - shares[1:, best]).tolist()
    found = [Word(word, effect) for word, effect in zip(words, effects, strict=False)]
    return sorted(found, key=lambda word: -abs(word.effect)), len(shown)


def explanation(scored: Scored, texts: TextScorer | None, text: str | None) -> dict[str, Any]:
    """Return the explanation of a result as it is printed.

    Args:
        scored: the result.
        texts: the models for texts, where there are any.
        text: that of the event.

    Returns:
        `faces`: of each the three most probable expressions, which costs nothing; `text`: the five
        words that moved the result most, None without a scored text; `passes`: of the text encoder.
    """
    words: list[dict[str, Any]] | None = None
    passes = 0
    if scored.text is not None and texts is not None and text is not None:
        found, passes = moving_words(texts, text)
        words = [
            {"word": word.word, "effect": round(word.effect, DIGITS)} for word in found[:MOST_WORDS]
        ]
    return {"faces": [_expressions(face) for face in scored.faces], "text": words, "passes": passes}


def _expressions(face: Face) -> dict[str, float]:
    ranked = sorted(zip(face.probabilities, EXPRESSIONS, strict=True), key=lambda pair: -pair[0])
    return {name: round(share, DIGITS) for share, name in ranked[:MOST_EXPRESSIONS]}
