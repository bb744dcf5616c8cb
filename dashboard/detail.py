"""One prediction in full: what the feed's line leaves out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.controls import Zone
from dashboard.feed import FeedRow
from dashboard.language import gettext as _
from dashboard.texts import MISSING, decimal_text, percent_text

__all__ = ["detail"]


def detail(row: FeedRow, zone: Zone, pictures: Sequence[str | None] = ()) -> list[Component]:
    """Return a prediction, every face and text of it with all probabilities.

    Args:
        row: what the feed knows.
        zone: the viewer's time zone.
        pictures: small pictures of the first faces, base64 of a JPEG each; None where none is kept.
    """
    record: dict[str, Any] = json.loads(row.record)
    models = record.get("models") or {}
    facts = [
        (_("Source"), row.source),
        (_("Event time"), f"{zone.date_and_clock(row.time_ms)} ({zone.name})"),
        (_("Event"), str(record.get("id") or MISSING)),
        (_("Sentiment"), _(str(record["sentiment"])) if record.get("sentiment") else MISSING),
        (_("Valence"), MISSING if row.valence is None else decimal_text(row.valence, sign=True)),
        (_("Models"), ", ".join(f"{kind} {v}" for kind, v in models.items() if v) or MISSING),
    ]
    parts: list[Component] = [
        html.Dl([html.Div([html.Dt(name), html.Dd(text)]) for name, text in facts])
    ]
    for number, (face, picture) in enumerate(
        zip_longest(record["faces"], pictures[: row.faces]), 1
    ):
        title = _("Face {number}").format(number=number)
        parts += _part(title, face, face.get("emotion"))
        if picture:
            parts.append(
                html.Img(src=f"data:image/jpeg;base64,{picture}", alt=title, className="thumbnail")
            )
    text = record.get("text")
    if isinstance(text, dict):
        parts += _part(_("Text"), text, text.get("sentiment"))
        if notes := _notes(text):
            parts.append(html.P(notes, className="note"))
    return parts


def _notes(text: dict[str, Any]) -> str:
    """Return what is to be known of a text beside its result; the text itself is not kept."""
    notes = []
    if language := text.get("language"):
        known = (
            _("language: {code}")
            if not text.get("foreign")
            else _("language: {code}, on which the model was not trained")
        )
        notes.append(known.format(code=str(language)))
    if text.get("cut"):
        notes.append(_("longer than the model reads, and cut"))
    return "; ".join(notes)


def _part(title: str, part: dict[str, Any], chosen: Any) -> list[Component]:  # noqa: ANN401
    probabilities = part.get("probabilities")
    shares = probabilities if isinstance(probabilities, dict) else {}
    ranked = sorted(shares.items(), key=lambda item: -float(item[1]))
    pair = _("{name}: {value}").format(name=title, value=_(str(chosen)))
    return [
        html.H3(pair if chosen else title),
        html.Table(
            html.Tbody(
                [
                    html.Tr(
                        [
                            html.Th(_(str(name)), scope="row"),
                            html.Td(percent_text(float(share), 1), className="number"),
                            html.Td(html.Meter(value=f"{float(share):.3f}", min="0", max="1")),
                        ]
                    )
                    for name, share in ranked
                ]
            ),
            className="probabilities",
        ),
    ]
