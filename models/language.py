"""Guesses the language of a text."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

import numpy as np

from models.cleaning import LINK, USER

__all__ = ["guess_language"]

# The languages most written on the web; with all that the library knows, a short English text is
# often taken for a rare language.
LANGUAGES: Final = (
    "ar", "bg", "bn", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr",
    "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sl",
    "sr", "sv", "ta", "th", "tl", "tr", "uk", "ur", "vi", "zh",
)  # fmt: skip
# Words that other languages do not have, or seldom.
ENGLISH: Final = frozenset(
    (
        "about", "after", "all", "and", "are", "because", "been", "but", "can", "could", "did",
        "does", "don't", "for", "from", "get", "going", "good", "had", "has", "have", "he's", "how",
        "i'm", "i've", "if", "it", "it's", "just", "know", "like", "love", "more", "my", "new",
        "not", "now", "of", "one", "our", "out", "she", "should", "some", "than", "that", "that's",
        "the", "their", "them", "then", "there", "they", "think", "this", "to", "today", "too",
        "very", "was", "we", "we're", "were", "what", "when", "which", "who", "will", "with",
        "would", "you", "you're", "your",
    )
)  # fmt: skip
SEVERAL: Final = 2  # different ones
LETTERS: Final = 12  # fewer say too little, except where the script does
LOOKED_AT: Final = 400  # characters; more does not change the guess
_NO_WORD: Final = re.compile(rf"{re.escape(USER)}|\b{LINK}\b|[^\w\s']+|[\d_]+")


def guess_language(text: str) -> str | None:
    """Return the ISO 639-1 code of the most likely language, None where there is too little text.

    Several of the commonest English words, a fifth of all words, make it English: that costs a
    twentieth of asking the library, and for the short texts of chats it errs less.

    Args:
        text: cleaned, with names of users and links replaced; emoji kept, not named.
    """
    looked_at = text[:LOOKED_AT]
    given = looked_at.lower().split()
    english = [word for word in given if word in ENGLISH]
    if len(english) * 5 >= len(given) and len(set(english)) >= SEVERAL:
        return "en"
    words = " ".join(_NO_WORD.sub(" ", looked_at).split())
    # Every letter of an alphabet that one language has says more than one of the Latin alphabet.
    letters = len(words) if words.isascii() else sum(1 + 2 * (not x.isascii()) for x in words)
    if letters < LETTERS:
        return None
    language, _ = _identifier().classify(words)
    return str(language)


@cache
def _identifier() -> Any:  # noqa: ANN401
    # Half a second: only where texts are scored.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    known = set(identifier.labels)
    identifier.set_languages([name for name in LANGUAGES if name in known])
    # Its rows are what is read.
    identifier.nb_ptc = np.ascontiguousarray(identifier.nb_ptc)
    identifier.classify("warm up")
    return identifier
