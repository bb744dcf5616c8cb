"""The models of each process: which is in use since when, what was refused, how a shadow does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.controls import Controls
from dashboard.grids import NUMBER, column, grid
from dashboard.language import gettext as _
from dashboard.texts import MISSING, decimal_text, grouped, percent_text
from dashboard.toolkit import card
from dashboard.view import Props
from dashboard.workers import Heartbeat
from dataflows.agreement import merged

__all__ = ["model_panels", "model_props"]


def model_panels() -> Component:
    """Return the panels."""
    return html.Div(
        [
            card(
                _("Models in use"),
                _("by process, and when they came into use there"),
                grid(
                    "model-uses",
                    _("No process of the flow reports"),
                    column("worker", _("Process"), flex=2, minWidth=140),
                    column("model", _("Model"), flex=1, minWidth=110),
                    column("since", _("In use since"), width=170),
                    column("previous", _("Before"), flex=1, minWidth=90),
                    column("note", _("Note"), flex=3, minWidth=160, tooltipField="note"),
                ),
            ),
            card(
                _("Models that are tried"),
                _("beside those in use, on a share of the events; they change no result"),
                grid(
                    "shadows",
                    _("None is tried"),
                    column("model", _("Model"), flex=1, minWidth=110),
                    column("active", _("In use"), flex=1, minWidth=90),
                    column("events", _("Events"), **NUMBER),
                    column("agreement", _("Agreement"), width=110, **NUMBER),
                    column("confidence", _("Confidence"), width=110, **NUMBER),
                    column("failed", _("Failed"), **NUMBER),
                    column("skipped", _("Skipped"), **NUMBER),
                ),
            ),
        ],
        className="charts",
    )


def model_props(workers: Iterable[Heartbeat], controls: Controls) -> Props:
    """Return what they show."""
    workers = tuple(workers)
    return {
        ("model-uses", "rowData"): [row for worker in workers for row in _uses(worker, controls)],
        ("shadows", "rowData"): [
            {
                "id": f"{one.kind} {one.active} {one.shadow}",
                "model": f"{_(one.kind)} {one.shadow}",
                "active": one.active,
                "events": grouped(one.events),
                "agreement": MISSING if one.share is None else percent_text(one.share, 1),
                "confidence": MISSING
                if one.confidence_delta is None
                else decimal_text(one.confidence_delta, 3, sign=True),
                "failed": grouped(one.failed + one.unmatched),
                "skipped": grouped(one.skipped),
            }
            for one in merged(one for worker in workers for one in worker.shadow)
        ],
    }


def _uses(worker: Heartbeat, controls: Controls) -> Iterator[dict[str, Any]]:
    for kind, change in worker.model_changes.items():
        version = worker.models.get(kind)
        if version is None and change.refused is None:
            continue
        yield {
            "id": f"{worker.worker} {kind}",
            "worker": worker.worker,
            "model": f"{_(kind)} {version or MISSING}",
            "since": _moment(change.since, controls),
            "previous": change.previous or MISSING,
            "note": _note(change.refused, change.reason, change.pinned),
        }


def _note(refused: str | None, reason: str, pinned: bool) -> str:
    if refused is not None:
        return _("refused: {version} ({reason})").format(version=refused or "ACTIVE", reason=reason)
    return _("named by a setting") if pinned else ""


def _moment(at_s: float, controls: Controls) -> str:
    if not (math.isfinite(at_s) and 0 <= at_s < 2**37):
        return MISSING
    return controls.zone.date_and_clock(round(at_s * 1000))
