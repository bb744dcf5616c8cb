"""Guesses of the language."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.language import LANGUAGES, guess_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The train is at platform nine and it will leave soon", "en"),
        ("Gorgeous weather, splendid musicians, marvellous audience tonight", "en"),
        ("Ich freue mich sehr auf den Abend mit euch allen", "de"),
        ("La réunion commence à dix heures dans la grande salle", "fr"),
        ("Estoy muy contento con el resultado de hoy", "es"),
        ("Это был прекрасный вечер", "ru"),
        ("とても楽しかったです", "ja"),
        ("مرحبا بكم في المؤتمر", "ar"),
    ],
)
def test_a_sentence_has_a_language(text: str, language: str) -> None:
    assert guess_language(text) == language


def test_a_few_english_words_in_another_language_are_not_enough() -> None:
    german = "Im Kino habe ich gestern endlich The Lord of the Rings gesehen, und so viel geweint"
    assert guess_language(german) == "de"


@pytest.mark.parametrize("text", ["", "ok", "lol!!", "@user http", "12345 67890 12345", "😀 😀 😀"])
def test_too_little_text_has_none(text: str) -> None:
    assert guess_language(text) is None


@settings(deadline=None)  # a busy machine may take long over one
@given(st.text())
def test_any_text_has_a_known_language_or_none(text: str) -> None:
    assert guess_language(text) in {*LANGUAGES, None}
