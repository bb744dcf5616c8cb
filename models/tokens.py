"""From cleaned texts to the numbers of their word pieces."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# Threads of its own would fight with those of the scorer, which works on several texts at once.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import tokenizers

from models.errors import BundleError

__all__ = ["Tokenizer", "Tokens"]

# Words whose pieces are remembered. Most words of a text are among the few commonest ones, so that
# nine in ten need not be cut again; when it is full it starts anew, at some 20 MB.
REMEMBERED: Final = 50_000
LONGEST: Final = 32  # characters of a word that is remembered
PROBE: Final = "a"
# Steps of the library that look at nothing beyond a word between spaces.
_BY_WORD: Final = frozenset(
    {
        "BertNormalizer", "BertPreTokenizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD",
        "Punctuation", "StripAccents", "Whitespace", "WhitespaceSplit", "WordLevel", "WordPiece",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tokens:
    """The word pieces of one text.

    Attributes:
        ids: their numbers, with those that mark beginning and end.
        cut: whether the end of the text was left out for its length.
    """

    ids: list[int]
    cut: bool


class Tokenizer:
    """A `tokenizer.json` with a limit."""

    def __init__(self, path: Path, max_tokens: int) -> None:
        """Open a tokenizer.

        Args:
            path: a file of the `tokenizers` library.
            max_tokens: the most word pieces of a text, marks included.

        Raises:
            BundleError: the file is no tokenizer, or `max_tokens` leaves no room beside its marks.
        """
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing more special
            raise BundleError(f"{path} is no tokenizer: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        marks = self._tokenizer.num_special_tokens_to_add(False)
        if max_tokens <= marks:
            raise BundleError(
                f"{path}: max_tokens is {max_tokens}, and the marks of beginning and end alone "
                f"are {marks}"
            )
        self._inner = max_tokens - marks
        self._before, self._after = self._marks()
        self._by_word = _cuts_by_word(json.loads(self._tokenizer.to_str()))
        self._words: dict[str, list[int]] = {}
        self._tokenizer.enable_truncation(max_tokens)

    @property
    def size(self) -> int:
        """How many word pieces there are."""
        return int(self._tokenizer.get_vocab_size())

    def number(self, piece: str) -> int:
        """Return the number of a word piece.

        Raises:
            BundleError: there is none like it.
        """
        number = self._tokenizer.token_to_id(piece)
        if number is None:
            raise BundleError(f"the tokenizer has no {piece}")
        return int(number)

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the word pieces of each text, at least one where the tokenizer has marks."""
        if self._by_word:
            return [self._joined(text) for text in texts]
        return [
            Tokens(encoding.ids, bool(encoding.overflowing))
            for encoding in self._tokenizer.encode_batch_fast(list(texts))
        ]

    def _joined(self, text: str) -> Tokens:
        """Put the pieces of the words together: the same as those of the text, in a tenth."""
        ids: list[int] = []
        known = self._words
        for word in text.split(" "):
            pieces = known.get(word)
            ids += self._cut(word) if pieces is None else pieces
            if len(ids) > self._inner:
                return Tokens([*self._before, *ids[: self._inner], *self._after], True)
        return Tokens([*self._before, *ids, *self._after], False)

    def _cut(self, word: str) -> list[int]:
        # Cut by the library at what fits in any case, so that nothing of what counts is lost.
        encoding = self._tokenizer.encode(word, add_special_tokens=False)
        ids: list[int] = encoding.ids
        for rest in encoding.overflowing:
            ids = ids + rest.ids
            if len(ids) > self._inner:
                break
        if len(word) <= LONGEST:
            if len(self._words) >= REMEMBERED:
                self._words = {}
            self._words[word] = ids
        return ids

    def _marks(self) -> tuple[list[int], list[int]]:
        """Return the numbers of the marks before and after a text."""
        whole = self._tokenizer.encode(PROBE).ids
        inner = self._tokenizer.encode(PROBE, add_special_tokens=False).ids
        for start in range(len(whole) - len(inner) + 1):
            if whole[start : start + len(inner)] == inner:
                return whole[:start], whole[start + len(inner) :]
        return [], []


def _cuts_by_word(document: dict[str, Any]) -> bool:
    """Tell whether a text is cut word by word, whatever stands around a word."""
    splits = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
    pre = _steps(document.get("pre_tokenizer"))
    steps = _steps(document.get("normalizer")) | pre | {str(document["model"].get("type"))}
    # An added token may have spaces in it, or take those around it.
    plain = all(len(token["content"].split()) == 1 for token in document.get("added_tokens") or [])
    return plain and bool(pre & splits) and steps <= _BY_WORD


def _steps(part: dict[str, Any] | None) -> set[str]:
    if part is None:
        return set()
    if part["type"] != "Sequence":
        return {str(part["type"])}
    inner = part.get("normalizers") or part.get("pretokenizers") or []
    return set().union(*map(_steps, inner))
