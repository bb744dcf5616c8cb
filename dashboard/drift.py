"""Whether the models still fit: drift of the hours, and what people say of the predictions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dash import html
from dash.development.base_component import Component

from dashboard.controls import Controls
from dashboard.grids import NUMBER, column, grid
from dashboard.language import gettext as _
from dashboard.texts import MISSING, decimal_text, grouped, percent_text
from dashboard.toolkit import card
from dashboard.view import Props
from dataflows.drift_records import DriftRow
from dataflows.feedback import Approval
from dataflows.keys import ALL_SOURCES

__all__ = ["drift_panels", "drift_props"]

ROWS_MOST: Final = 200


def drift_panels() -> Component:
    """Return the panels."""
    return html.Div(
        [
            card(
                _("Drift"),
                _("by hour, against what the model gave on its validation data"),
                grid(
                    "drift",
                    _("No hour has been counted yet"),
                    column("source", _("Source"), flex=2, minWidth=120),
                    column("hour", _("Hour"), width=170),
                    column("model", _("Model"), flex=1, minWidth=110),
                    column("n", _("Observations"), width=120, **NUMBER),
                    column("mix", _("PSI of classes"), width=130, **NUMBER),
                    column("confidence", _("PSI of confidence"), width=150, **NUMBER),
                    column("embedding", _("Embedding distance"), width=160, **NUMBER),
                    column("verdict", _("Verdict"), flex=1, minWidth=120),
                ),
            ),
            card(
                _("Feedback"),
                _("what people said of predictions; who disagrees speaks up more often"),
                grid(
                    "approvals",
                    _("Nobody has said anything yet"),
                    column("model", _("Model"), flex=2, minWidth=110),
                    column("agreed", _("Right"), **NUMBER),
                    column("disagreed", _("Wrong"), **NUMBER),
                    column("share", _("Agreement"), width=110, **NUMBER),
                ),
            ),
        ],
        className="charts drift",
    )


def drift_props(
    rows: Iterable[DriftRow], approvals: Iterable[Approval], controls: Controls
) -> Props:
    """Return what they show."""
    verdicts = {
        "no_reference": _("no reference"),
        "few": _("too few"),
        "steady": _("steady"),
        "drift": _("drifted"),
    }
    return {
        ("drift", "rowData"): [
            {
                "id": f"{row.source} {row.hour} {row.kind} {row.version}",
                "source": _("All sources") if row.source == ALL_SOURCES else row.source,
                "hour": controls.zone.date_and_clock(row.hour * 1000),
                "model": f"{_(row.kind)} {row.version}",
                "n": grouped(row.n),
                "mix": _figure(row.mix),
                "confidence": _figure(row.confidence),
                "embedding": _figure(row.embedding),
                "verdict": verdicts[row.verdict],
            }
            for row in list(rows)[:ROWS_MOST]
        ],
        ("approvals", "rowData"): [
            {
                "id": one.bundle,
                "model": _model(one.bundle),
                "agreed": grouped(one.agreed),
                "disagreed": grouped(one.disagreed),
                "share": percent_text(one.share, 1),
            }
            for one in approvals
        ],
    }


def _model(bundle: str) -> str:
    kind, _slash, version = bundle.partition("/")
    return f"{_(kind)} {version}"


def _figure(value: float | None) -> str:
    return MISSING if value is None else decimal_text(value, 3)
