"""Faces and texts apart and together, without guessing.

A pane sums both, and its seven expressions count faces alone. So how many there are of each is
exact everywhere; their sentiment and valence are known apart for every source that has carried
but one kind in the shown period, and for all sources as far as they consist of such.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from dash import html
from dash.development.base_component import Component

from dashboard.charts.shares import FACE_COLUMNS, SENTIMENT_COLUMNS
from dashboard.language import gettext as _
from dashboard.texts import MISSING, decimal_text, grouped, percent_text
from dashboard.theme import SENTIMENT_ORDER
from dataflows.panes import EMPTY, Pane, statistics

__all__ = ["KINDS", "Apart", "apart", "kinds_table", "kinds_texts"]

KINDS: Final = ("faces", "texts", "both")


class Apart(NamedTuple):
    """What is known of a period.

    Attributes:
        both: the sum over all that is shown.
        faces: the sum over the sources with nothing but faces in the period.
        texts: the same for texts.
    """

    both: Pane
    faces: Pane
    texts: Pane

    @property
    def counts(self) -> tuple[int, int]:
        """How many faces and texts there are, whatever their sources."""
        faces = faces_of(self.both)
        return faces, self.both.n - faces


def apart(both: Pane, sources: Iterable[Pane]) -> Apart:
    """Add sources up by the kind that they carry; those with both stay out.

    Args:
        both: the sum over all that is shown.
        sources: the sum of each source in it.
    """
    faces = texts = EMPTY
    for pane in sources:
        found = faces_of(pane)
        if found == pane.n:
            faces = faces.merge(pane)
        elif not found:
            texts = texts.merge(pane)
    return Apart(both, faces, texts)


def faces_of(pane: Pane) -> int:
    """Return how many faces a pane counts; the rest of its observations are texts."""
    return sum(pane[column] for column in FACE_COLUMNS)


def kinds_table() -> Component:
    """Return the table; `kinds_texts` fills it."""
    names = {"faces": _("Faces"), "texts": _("Texts"), "both": _("Both")}
    heads = (_("Seen"), *(_(name).capitalize() for name in SENTIMENT_ORDER), _("Valence"))
    fields = ("count", *SENTIMENT_ORDER, "valence")
    rows = [
        html.Tr(
            [
                html.Th(names[kind], scope="row"),
                *(html.Td(MISSING, id=f"{kind}-{field}") for field in fields),
            ]
        )
        for kind in KINDS
    ]
    head = html.Tr([html.Td(), *(html.Th(text, scope="col") for text in heads)])
    return html.Table([html.Thead(head), html.Tbody(rows)], className="kinds")


def kinds_texts(found: Apart) -> dict[str, str]:
    """Return the text of every cell by its id, and that of `kinds-note`."""
    faces, texts = found.counts
    named: dict[str, str] = {}
    for kind, count, pane in (
        ("faces", faces, found.faces),
        ("texts", texts, found.texts),
        ("both", found.both.n, found.both),
    ):
        named[f"{kind}-count"] = grouped(count)
        for name, column in zip(SENTIMENT_ORDER, SENTIMENT_COLUMNS, strict=True):
            share = pane[column] / pane.n if pane.n else math.nan
            named[f"{kind}-{name}"] = percent_text(share)
        named[f"{kind}-valence"] = decimal_text(statistics(pane).valence, sign=True)
    named["kinds-note"] = _note(_share(found.faces.n, faces), _share(found.texts.n, texts))
    return named


def _share(known: int, count: int) -> float:
    return known / count if count else 1.0


def _note(faces: float, texts: float) -> str:
    # Sources are summed in coarser steps than the whole, so a little is no gap.
    if min(faces, texts) > 0.9:
        return _("in the shown period")
    return _(
        "apart for {faces} of faces and {texts} of texts: the rest is of sources with both, or of "
        "more than are shown"
    ).format(faces=percent_text(min(1.0, faces)), texts=percent_text(min(1.0, texts)))
