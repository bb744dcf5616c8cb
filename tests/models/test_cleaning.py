"""The cleaner: what becomes of what, and that nothing upsets it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.cleaning import LINK, USER, clean_text
from models.options import TextCleaning

OPTIONS = TextCleaning()
SHORT = TextCleaning(max_characters=16)
KEPT = TextCleaning(emoji="kept")

# What has a meaning for the cleaner, beside any character at all.
PARTS = (
    *("&amp;", "&lt", "&#38;", "&#x1F600;", "@user", "@", "#", "#Tag", "http", "https://a.b/c"),
    *("www.", "aaaa", "!!!!!", "\0", "\u200d", "\u200b", "\ufe0f", "\u20e3", "1\ufe0f\u20e3"),
    *("\u202e", "\ud800", "\u0301", "\ufdfa", "\u2026", "\u017f", "\u0627", "\n", " ", "_", "x"),
    *("😀", "👩\u200d🚀", "🇩🇪", "👍🏽", "ß", "क्या", "가"),
)
texts = st.one_of(st.text(), st.lists(st.sampled_from(PARTS)).map("".join))


@settings(deadline=None)  # a busy machine may take long over one
@given(texts, st.sampled_from([OPTIONS, SHORT, KEPT]))
@example("&" + "amp;" * 40, OPTIONS)
@example("&#38;" * 40, OPTIONS)
@example("@a" * 20, SHORT)
@example("a\u0345" * 12, SHORT)
def test_anything_is_cleaned_once_and_for_all_within_the_limit(
    text: str, options: TextCleaning
) -> None:
    found = clean_text(text, options)
    assert len(found.text) <= options.max_characters
    assert found.text == " ".join(found.text.split())
    assert found.text.isprintable()
    found.text.encode()
    again = clean_text(found.text, options)
    assert again.text == found.text
    assert not again.cut
    assert found.unnamed.isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Plain English, as it is.", "Plain English, as it is."),
        ("so\tmuch \n space\u00a0here", "so much space here"),
        ("Tom &amp; Jerry &lt;3 &#39;ok&#39;", "Tom & Jerry <3 'ok'"),
        ("twice &amp;amp;lt; escaped", "twice < escaped"),
        ("thanks @Ann_1, mail me: a@b.com", "thanks @user, mail me: a@b.com"),
        ("see https://t.co/aBc?d=1 and www.x.org/y now", "see http and http now"),
        ("HTTP://X.Y is loud", "http is loud"),
        ("sooooo goooood!!!!!!!", "soo good!!!"),
        ("1000000 stays", "1000000 stays"),
        ("#BestDayEver #NBA2024 #so_good #NASA", "Best Day Ever NBA 2024 so good NASA"),
        ("#क्या बात", "क्या बात"),
        ("#über #été", "über été"),
        ("\ufb01ne \uff57ide \u2460", "fine wide 1"),
        ("what\u2026", "what..."),
        ("a\0b\x07c", "a b c"),
        ("zero\u200bwidth soft\u00adhyphen", "zerowidth softhyphen"),
        ("\u202eright to left\u202c", "right to left"),
        ("שלום עולם", "שלום עולם"),
        ("مرحبا\u200f بك", "مرحبا بك"),
        ("e\u0301te\u0301", "été"),
        ("lone \ud83d surrogate", "lone surrogate"),
        ("", ""),
        (" \t\n\u3000", ""),
        ("\u200d\u200b\ufeff\0", ""),
    ],
)
def test_what_becomes_of(text: str, expected: str) -> None:
    assert clean_text(text, OPTIONS).text == expected


@pytest.mark.parametrize(
    ("text", "expected", "unnamed"),
    [
        ("😂", "face with tears of joy", ""),
        ("love it😍!", "love it smiling face with heart-eyes !", "love it !"),
        ("👩‍🚀👍🏽", "woman astronaut thumbs up medium skin tone", ""),
        ("👩\u200d🐶 no such", "woman dog face no such", "no such"),
        ("go 🇩🇪 1️⃣ ❤️‍🔥", "go Germany keycap 1 heart on fire", "go"),
        ("❤ ❤️ 12", "red heart red heart 12", "12"),
        ("🇫 alone", "🇫 alone", "🇫 alone"),
    ],
)
def test_emoji_become_their_names_but_not_for_guesses_of_the_language(
    text: str, expected: str, unnamed: str
) -> None:
    found = clean_text(text, OPTIONS)
    assert found.text == expected
    assert found.unnamed == unnamed


def test_emoji_may_be_kept() -> None:
    assert clean_text("ok 👍🏽👩‍🚀", KEPT).text == "ok 👍🏽👩🚀"


@pytest.mark.parametrize(
    "text",
    [
        "@ann @bob",
        "https://t.co/x www.y.z",
        "@ann: https://t.co/x",
        "(@ann, @bob) - http://x.y/z",
        "http",
    ],
)
def test_names_of_users_and_links_alone_say_nothing(text: str) -> None:
    assert clean_text(text, OPTIONS).text == ""


@pytest.mark.parametrize("text", ["?!", "@ann ...", "https://t.co/x 👍", "5"])
def test_signs_and_numbers_may_say_something(text: str) -> None:
    assert clean_text(text, OPTIONS).text


def test_users_and_links_look_as_in_the_training_data() -> None:
    assert clean_text("@ann see https://t.co/x", OPTIONS).text == f"{USER} see {LINK}"


def test_a_long_text_is_cut_with_a_mark() -> None:
    exact = "word " * 199 + "end!!"
    assert clean_text(exact, OPTIONS) == (found := clean_text(exact, OPTIONS))
    assert (found.text, found.cut) == (exact, False)
    longer = clean_text(exact + " more", OPTIONS)
    assert (longer.text, longer.cut) == (exact, True)
    # What cleaning takes away does not count.
    assert not clean_text("x" + " " * 3000 + "y", OPTIONS).cut
    assert clean_text("x" + " " * 5000 + "y", OPTIONS).cut


@pytest.mark.parametrize(
    "piece",
    [
        "I love it so much. ",
        "&amp;",
        "&#38;#38;",
        "\u0301",
        "\ufdfa",
        "👩\u200d",
        "🇩",
        "1\ufe0f\u20e3",
        "😀",
        "#a",
        "@a",
        "http:/",
        "\0",
        "aé",
    ],
)
def test_of_a_megabyte_no_more_is_looked_at_than_of_a_long_text(piece: str) -> None:
    huge = piece * (1_000_000 // len(piece))
    found = clean_text(huge, OPTIONS)
    assert found.cut
    assert found.text == clean_text(huge[: OPTIONS.max_characters * 4], OPTIONS).text
