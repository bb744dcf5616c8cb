"""Numbers and times as people read them."""

from __future__ import annotations

import math
from typing import Final

from dashboard.language import decimal_point
from dashboard.language import gettext as _

__all__ = [
    "MISSING",
    "THIN_SPACE",
    "age_text",
    "count_text",
    "decimal_text",
    "grouped",
    "percent_text",
    "span_text",
]

MISSING: Final = "\u2013"  # a dash
THIN_SPACE: Final = "\u202f"  # does not break; between a number and its unit
_MINUS: Final = "\u2212"
_STEPS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))


def age_text(seconds: float) -> str:
    """Return an age in its largest fitting unit, rounded down; below a second it is "< 1 s".

    What is ahead of now, by a wrong clock, is "in" so much.
    """
    if seconds <= -1:
        return _("in {time}").format(time=age_text(-seconds))
    if seconds < 1:
        return f"<{THIN_SPACE}1{THIN_SPACE}s"
    for size, unit in _STEPS:
        if seconds >= 2 * size:
            return f"{int(seconds // size)}{THIN_SPACE}{_(unit)}"
    return f"{int(seconds)}{THIN_SPACE}s"


def span_text(seconds: int) -> str:
    """Return a chosen length of time in the largest unit that divides it; a day is 24 h."""
    for size, unit in _STEPS:
        if seconds % size == 0 and (size < 86_400 or seconds > size):
            return f"{seconds // size}{THIN_SPACE}{_(unit)}"
    return f"{seconds}{THIN_SPACE}s"


def decimal_text(value: float, digits: int = 2, *, sign: bool = False) -> str:
    """Return a number with a real minus sign, or a dash when it is not finite."""
    if not math.isfinite(value):
        return MISSING
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", _MINUS).replace(".", decimal_point())


def percent_text(share: float, digits: int = 0) -> str:
    """Return a share in [0, 1] as per cent, or a dash when it is not finite."""
    if not math.isfinite(share):
        return MISSING
    return f"{share * 100:.{digits}f}{THIN_SPACE}%".replace(".", decimal_point())


def count_text(count: int, noun: str) -> str:
    """Return a count with its noun in the right form, thousands apart."""
    return f"{grouped(count)} {noun}"


def grouped(count: int) -> str:
    """Return a count, thousands apart."""
    return f"{count:,}".replace(",", THIN_SPACE)
