"""Word pieces: put together word by word, they are those that the library gives for the text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from text_bundles import MAX_TOKENS, TINY, WORDS
from tokenizers import models as pieces
from tokenizers import pre_tokenizers

from models.errors import BundleError
from models.tokens import Tokenizer, Tokens

words = st.sampled_from([word for some in WORDS.values() for word in some])
texts = st.lists(words | st.text(max_size=6) | st.sampled_from(["lovely", "[SEP]", "a-b"])).map(
    " ".join
)


@pytest.fixture(scope="session")
def path(bundles: Path) -> Path:
    return bundles / "text" / TINY / "tokenizer.json"


@pytest.fixture(scope="session")
def tokenizer(path: Path) -> Tokenizer:
    return Tokenizer(path, MAX_TOKENS)


@pytest.fixture(scope="session")
def library(path: Path) -> tokenizers.Tokenizer:
    found = tokenizers.Tokenizer.from_file(str(path))
    found.enable_truncation(MAX_TOKENS)
    return found


@settings(deadline=None)  # a busy machine may take long over one
@given(texts)
def test_the_pieces_are_those_of_the_library(
    tokenizer: Tokenizer, library: tokenizers.Tokenizer, text: str
) -> None:
    expected = library.encode(text)
    assert tokenizer.encode([text]) == [Tokens(expected.ids, bool(expected.overflowing))]


def test_a_word_of_very_many_pieces_is_cut(
    tokenizer: Tokenizer, library: tokenizers.Tokenizer
) -> None:
    text = "love" + "s" * 50 + " a" + "-" * 900
    expected = library.encode(text)
    assert tokenizer.encode([text, "a"])[0] == Tokens(expected.ids, True)


def test_a_text_that_is_too_long_says_so(tokenizer: Tokenizer) -> None:
    fits, longer = tokenizer.encode([" ".join(["love"] * n) for n in (MAX_TOKENS - 2, MAX_TOKENS)])
    assert (len(fits.ids), fits.cut) == (MAX_TOKENS, False)
    assert (len(longer.ids), longer.cut) == (MAX_TOKENS, True)


def test_no_more_words_are_remembered_than_fit(
    path: Path, monkeypatch: pytest.MonkeyPatch, library: tokenizers.Tokenizer
) -> None:
    monkeypatch.setattr("models.tokens.REMEMBERED", 3)
    tokenizer = Tokenizer(path, MAX_TOKENS)
    for text in ("love the train", "hate the table", "love at noon is great"):
        assert tokenizer.encode([text])[0].ids == library.encode(text).ids
        assert len(tokenizer._words) <= 3


def test_a_tokenizer_for_which_spaces_count_is_asked_for_the_whole_text(tmp_path: Path) -> None:
    own = tokenizers.Tokenizer(pieces.WordLevel({"\u2581a": 0, "\u2581b": 1, "?": 2}, "?"))
    own.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    own.save(str(tmp_path / "tokenizer.json"))
    (found,) = Tokenizer(tmp_path / "tokenizer.json", 8).encode(["a b"])
    assert found.ids == own.encode("a b").ids == [0, 1]


def test_pieces_have_numbers(tokenizer: Tokenizer) -> None:
    assert tokenizer.number("[PAD]") == 0
    assert tokenizer.size > 20
    with pytest.raises(BundleError, match=r"the tokenizer has no \[MASK\]"):
        tokenizer.number("[MASK]")


@pytest.mark.parametrize(
    ("change", "most", "message"),
    [
        (lambda document: document.pop("model"), 16, "is no tokenizer"),
        (lambda document: None, 2, "max_tokens is 2, and the marks of beginning and end alone"),
    ],
)
def test_what_does_not_fit_is_refused(
    path: Path,
    tmp_path: Path,
    change: Callable[[dict[str, object]], object],
    most: int,
    message: str,
) -> None:
    document = json.loads(path.read_text())
    change(document)
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(BundleError, match=message):
        Tokenizer(tmp_path / "tokenizer.json", most)
