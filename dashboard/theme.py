"""Colours, patterns and fixed orders: what an expression looks like wherever it is drawn.

The expression colours keep a contrast of at least 3:1 on their background and stay apart for
protan, deutan and tritan vision. Patterns carry the same information without any colour.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "EXPRESSION_ORDER",
    "FONT",
    "PATTERNS",
    "SENTIMENT_ORDER",
    "SENTIMENT_PATTERNS",
    "Palette",
    "palette",
]

# Fonts of the viewer's system: nothing is loaded.
FONT: Final = 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
# From positive over neutral to negative; the same everywhere, so that the eye learns it.
EXPRESSION_ORDER: Final = (
    "happiness",
    "surprise",
    "neutral",
    "sadness",
    "fear",
    "disgust",
    "anger",
)
# Plotly's pattern shapes.
PATTERNS: Final = {
    "happiness": "",
    "surprise": ".",
    "neutral": "-",
    "sadness": "/",
    "fear": "x",
    "disgust": "\\",
    "anger": "+",
}
SENTIMENT_ORDER: Final = ("positive", "neutral", "negative")
SENTIMENT_PATTERNS: Final = {"positive": "", "neutral": "-", "negative": "/"}


class Palette(NamedTuple):
    """Colours of one colour scheme, as CSS values."""

    expressions: dict[str, str]
    sentiments: dict[str, str]
    surface: str  # background of a card
    text: str
    muted: str  # secondary text, at least 4.5:1 on the surface
    grid: str
    accent: str  # the valence line
    band: str  # its 95 % band
    positive: str  # tint of the half plane above zero
    negative: str  # tint of the half plane below zero
    alert: str
    diverging: list[list[float | str]]  # colour scale of valence from -1 to 1
    veil: str  # over what is uncertain


_LIGHT: Final = Palette(
    expressions={
        "happiness": "#AE8E11",
        "surprise": "#F12AA1",
        "anger": "#A82D08",
        "disgust": "#11815D",
        "sadness": "#2595FB",
        "fear": "#581283",
        "neutral": "#3D3E3C",
    },
    sentiments={"positive": "#2166ac", "neutral": "#7d8590", "negative": "#b2182b"},
    surface="#ffffff",
    text="#1f2329",
    muted="#5a6270",
    grid="#e6e9ee",
    accent="#1b5fab",
    band="rgba(27, 95, 171, 0.18)",
    positive="rgba(37, 110, 200, 0.045)",
    negative="rgba(200, 50, 40, 0.045)",
    alert="#9a5b00",
    # RdBu of ColorBrewer: red is negative.
    diverging=[
        [0, "#b2182b"],
        [0.25, "#ef8a62"],
        [0.5, "#eceff1"],
        [0.75, "#67a9cf"],
        [1, "#2166ac"],
    ],
    veil="rgba(255, 255, 255, 0.62)",
)
_DARK: Final = Palette(
    expressions={
        "happiness": "#FFD019",
        "surprise": "#E17AA0",
        "anger": "#F02902",
        "disgust": "#B7F7BD",
        "sadness": "#62ADF9",
        "fear": "#7B47FB",
        "neutral": "#717063",
    },
    sentiments={"positive": "#6aaee6", "neutral": "#8d939b", "negative": "#f0705f"},
    surface="#242424",
    text="#e9ebee",
    muted="#a9b0ba",
    grid="#363a40",
    accent="#7cb8f7",
    band="rgba(124, 184, 247, 0.22)",
    positive="rgba(90, 160, 255, 0.06)",
    negative="rgba(255, 100, 90, 0.06)",
    alert="#f0b44c",
    diverging=[
        [0, "#f0705f"],
        [0.25, "#a84d44"],
        [0.5, "#3a3f45"],
        [0.75, "#3f76a3"],
        [1, "#6aaee6"],
    ],
    veil="rgba(36, 36, 36, 0.62)",
)


def palette(*, dark: bool) -> Palette:
    """Return the colours of the dark or the light scheme."""
    return _DARK if dark else _LIGHT
