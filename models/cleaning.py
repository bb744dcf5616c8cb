"""Cleans a text for the tokenizer: the same in training and live.

What a reader would not miss goes (invisible characters, markup, names and addresses), what carries
sentiment stays in a form that a vocabulary of words knows: an emoji by its name, a hashtag as the
words in it. Pure; never raises for a `str`; cleaning twice is the same as cleaning once.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from models.emojis import name_emoji, without_emoji
from models.options import TextCleaning

__all__ = ["LINK", "USER", "Cleaned", "clean_text"]

# As in TweetEval (Barbieri et al. 2020), whose tweets come with these in place of the originals.
USER: Final = "@user"
LINK: Final = "http"

# Most characters of one text that are looked at at all, in units of the limit: cleaning mostly
# shortens (markup, links), and a text of a megabyte must not cost more than a long one.
LOOKED_AT: Final = 4
ROUNDS: Final = 8  # until nothing changes; two do for nearly every text

_LINK: Final = re.compile(r"(?:https?://|www\.)\S+|\bhttps?\b[:/]*", re.IGNORECASE)
_USER: Final = re.compile(r"(?<![\w.@])@\w+")
_HASHTAG: Final = re.compile(r"#+(?=\w)(\w*)")
# Words in camel case, capitals that belong together, and numbers.
_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+|[A-Z]")
_THRICE: Final = re.compile(r"(\S)\1\1")
_REPEATED_LETTER: Final = re.compile(r"([^\W\d_])\1{2,}")
_REPEATED_SIGN: Final = re.compile(r"([^\w\s])\1{3,}")
_SIGN: Final = re.compile(r"[^\w\s]|_")
_SELECTORS: Final = dict.fromkeys(map(ord, "\ufe0e\ufe0f\u20e3"))
_NOT_SHOWN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_BETWEEN: Final = ",.:;|/()[]\"'-\u2013\u2014"  # may stand around names and links


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A cleaned text.

    Attributes:
        text: what the tokenizer gets; empty if nothing that can be read was left.
        cut: whether the end was left out for its length.
        unnamed: the same without the names of emoji, for guesses of the language.
    """

    text: str
    cut: bool
    unnamed: str = ""


def clean_text(text: str, options: TextCleaning) -> Cleaned:
    """Return the text as the tokenizer should see it.

    In this order, and again until nothing changes: HTML entities are resolved, the text is brought
    to Unicode form NFKC, links and user names become `http` and `@user`, emoji become their English
    names, characters that are not shown become a space or go, hashtags become the words in
    them, letters and signs that are repeated for emphasis are shortened, white space is one space.

    Args:
        text: anything, lone surrogates and NUL included.
        options: the limit in characters, and what happens to emoji.
    """
    limit = options.max_characters
    looked_at = text[: limit * LOOKED_AT]
    cleaned, shortened = _settled(looked_at, options)
    unnamed = cleaned
    if options.emoji == "named" and not (looked_at.isascii() and "&" not in looked_at):
        written = html.unescape(looked_at)
        if (bare := without_emoji(written)) != written:
            unnamed, _ = _settled(bare, options)
    cut = shortened or len(looked_at) < len(text)
    return Cleaned("" if _says_nothing(cleaned) else cleaned, cut, unnamed)


def _settled(text: str, options: TextCleaning) -> tuple[str, bool]:
    """Clean until nothing changes, and tell whether the end was left out."""
    shortened = False
    for number in range(2 * ROUNDS):
        if number == ROUNDS:
            # Markup in markup, many times over: the signs that it is made of go.
            text = _SIGN.sub(" ", text)
        cleaned, grown = _once(text, options)
        shortened |= grown
        if len(cleaned) > options.max_characters:
            cleaned, shortened = cleaned[: options.max_characters].rstrip(), True
        if cleaned == text:
            break
        text = cleaned
    return text, shortened


def _once(text: str, options: TextCleaning) -> tuple[str, bool]:
    """Clean once, and tell whether the text grew so much on the way that its end was left out."""
    most = options.max_characters * LOOKED_AT
    grown = False
    # Each step is asked for only where there is something to do: most texts need few of them.
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text, grown = text[:most], len(text) > most
    lowered = text.lower()
    if "http" in lowered or "www." in lowered:
        text = _LINK.sub(f" {LINK} ", text)
    if "@" in text:
        text = _USER.sub(USER, text)
    if not text.isascii() and options.emoji == "named":
        text = name_emoji(text)
        text, grown = text[:most], grown or len(text) > most
    text = _shown(" ".join(text.split()))
    if "#" in text:
        text = _HASHTAG.sub(_words, text)
    if _THRICE.search(text):
        text = _REPEATED_LETTER.sub(r"\1\1", text)
        text = _REPEATED_SIGN.sub(r"\1\1\1", text)
    return " ".join(text.split()), grown


def _shown(text: str) -> str:
    """Take away what is not shown; what joins or directs letters separates no words."""
    if not text.isascii():
        text = text.translate(_SELECTORS)
    if text.isprintable():
        return text
    kinds = [(character, unicodedata.category(character)) for character in text]
    return "".join(
        character if kind not in _NOT_SHOWN else "" if kind == "Cf" else " "
        for character, kind in kinds
    )


def _words(hashtag: re.Match[str]) -> str:
    following = hashtag.string[hashtag.end() : hashtag.end() + 1]
    if following and unicodedata.category(following).startswith("M"):
        return f" {hashtag[1]}"  # a vowel sign or an accent goes on with the word
    return " " + " ".join(_PARTS.findall(hashtag[1]) or [hashtag[1]]) + " "


def _says_nothing(text: str) -> bool:
    """Tell whether there is nothing but names of users and links, and what stands between them."""
    return all(word in _BETWEEN or word.strip(_BETWEEN) in (USER, LINK) for word in text.split())
