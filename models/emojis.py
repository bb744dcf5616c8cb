"""Emoji by their English names.

The `emoji` library has the names. It is not asked to find them in a text: that takes a quarter of
a millisecond a text, and grows with the square of the length where many are joined.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

from emoji import EMOJI_DATA

__all__ = ["name_emoji", "without_emoji"]

KEYCAP: Final = "\u20e3"  # makes an emoji of the digit, `#` or `*` before it
TAGS: Final = "\U000e0020-\U000e007f"  # spell the name of a region in its flag


class _Known(NamedTuple):
    """What is known of emoji.

    Attributes:
        names: by sequence of characters, with a space around.
        longest: characters of the longest sequence.
        runs: what may be emoji, one after another.
    """

    names: dict[str, str]
    longest: int
    runs: re.Pattern[str]


def name_emoji(text: str) -> str:
    """Return the text with each emoji replaced by its name between spaces."""
    return _known().runs.sub(_named, text)


def without_emoji(text: str) -> str:
    """Return the text with each emoji replaced by a space."""
    return _known().runs.sub(_blank, text)


def _named(run: re.Match[str]) -> str:
    return _replaced(run[0], None)


def _blank(run: re.Match[str]) -> str:
    return _replaced(run[0], " ")


def _replaced(run: str, blank: str | None) -> str:
    """Replace the longest known sequences, from left to right."""
    names, longest, _ = _known()
    parts = []
    at = 0
    while at < len(run):
        for end in range(min(len(run), at + longest), at, -1):
            if (name := names.get(run[at:end])) is not None:
                parts.append(name if blank is None else blank)
                at = end
                break
        else:
            parts.append(run[at])
            at += 1
    return "".join(parts)


@cache
def _known() -> _Known:
    names = {
        sequence: f" {data['en'].strip(':').replace('_', ' ')} "
        for sequence, data in EMOJI_DATA.items()
    }
    characters = {character for sequence in names for character in sequence}
    before = re.escape("".join(sorted(filter(str.isascii, characters))))
    signs = "".join(sorted(sign for sign in characters if "\x7f" < sign <= "\uffff"))
    # A class of single characters beyond the first 65,536 is searched one by one; ranges are not.
    beyond = f"\U0001f000-\U0001faff{TAGS}"
    runs = re.compile(rf"(?:[{re.escape(signs)}{beyond}]|[{before}](?=\ufe0f?{KEYCAP}))+")
    assert all(runs.fullmatch(sequence) for sequence in names)  # noqa: S101 - of the library
    return _Known(names, max(map(len, names)), runs)
