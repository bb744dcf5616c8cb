"""The pipeline page: workers, partitions, rejections, models, and what Redis uses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from dash import html
from dash.development.base_component import Component

from dashboard.controls import Controls
from dashboard.drift import drift_panels, drift_props
from dashboard.grids import NUMBER, column, grid
from dashboard.language import gettext as _
from dashboard.model_uses import model_panels, model_props
from dashboard.store import Store
from dashboard.texts import MISSING, THIN_SPACE, age_text, decimal_text, percent_text
from dashboard.toolkit import card
from dashboard.view import Props
from dashboard.workers import catch_up_text, rejected_by_reason

__all__ = ["pipeline_panels", "pipeline_props"]

MIB: Final = 2**20


def pipeline_panels() -> list[Component]:
    """Return the panels."""
    return [
        html.Dl(
            [
                _figure("workers-count", _("Processes")),
                _figure("lag-total", _("Lag")),
                _figure("rejected-total", _("Rejected")),
                _figure("models-used", _("Models in use")),
                _figure("memory-used", _("Redis memory")),
            ],
            className="figures",
        ),
        html.Div(
            [
                card(
                    _("Processes"),
                    _("heartbeats of the last 10 s"),
                    grid(
                        "workers",
                        _("No process of the flow reports"),
                        column("worker", _("Process"), flex=2, minWidth=140),
                        column("rate", _("Events/s"), **NUMBER),
                        column("p50", "p50 (ms)", **NUMBER),
                        column("p95", "p95 (ms)", **NUMBER),
                        column("p99", "p99 (ms)", **NUMBER),
                        column("lag", _("Lag"), **NUMBER),
                        column("rejected", _("Rejected"), **NUMBER),
                        column("up", _("Up for"), **NUMBER),
                        column("models", _("Models"), flex=1, minWidth=120),
                    ),
                ),
                card(
                    _("Partitions"),
                    _("of the topic of events"),
                    grid(
                        "partitions",
                        _("No partition is reported"),
                        column("partition", _("Partition"), flex=1),
                        column("position", _("Position"), flex=1, **NUMBER),
                        column("end", _("End"), flex=1, **NUMBER),
                        column("lag", _("Lag"), flex=1, **NUMBER),
                        column("worker", _("Process"), flex=2, minWidth=140),
                    ),
                ),
            ],
            className="charts",
        ),
        html.Div(
            [
                card(
                    _("Rejected by reason"),
                    [
                        html.Span([_("since the start of the processes"), ", "]),
                        html.A(_("latest dead letters"), href="#rejections"),
                    ],
                    grid(
                        "reasons",
                        _("Nothing was rejected"),
                        column("reason", _("Reason"), flex=2, minWidth=140),
                        column("count", _("Records"), flex=1, **NUMBER),
                    ),
                ),
                card(
                    _("Latest dead letters"),
                    html.Span(
                        [
                            _("the records stand in the topic of dead letters: "),
                            html.Code("sentistream dlq show"),
                        ]
                    ),
                    grid(
                        "rejections",
                        _("Nothing was rejected lately"),
                        column("time", _("Time"), width=170),
                        column("reason", _("Reason"), flex=1, minWidth=130),
                        column("place", _("Topic, partition, offset"), flex=2, minWidth=180),
                        column("detail", _("Why"), flex=3, minWidth=200, tooltipField="detail"),
                    ),
                    aside=html.Span(id="rejections-zone"),
                ),
            ],
            className="charts rejected",
        ),
        model_panels(),
        drift_panels(),
    ]


def pipeline_props(store: Store, controls: Controls, wall: float) -> Props:
    """Return what the page shows.

    Args:
        store: the state.
        controls: the viewer's choices.
        wall: the time of day (epoch s).
    """
    reasons = rejected_by_reason(store.workers)
    props: Props = {
        ("workers", "rowData"): [
            {
                "id": worker.worker,
                "worker": worker.worker,
                "rate": decimal_text(worker.events_per_s, 1),
                "p50": _whole(worker.latency_p50_ms),
                "p95": _whole(worker.latency_p95_ms),
                "p99": _whole(worker.latency_p99_ms),
                "lag": _whole(worker.lag),
                "rejected": _whole(worker.rejected),
                "up": age_text(wall - worker.started) if math.isfinite(worker.started) else MISSING,
                "models": _models(worker.models),
            }
            for worker in store.workers
        ],
        ("partitions", "rowData"): sorted(
            (
                {
                    "id": f"{worker.worker} {place.partition}",
                    "partition": place.partition,
                    "position": _whole(place.position),
                    "end": _whole(place.end),
                    "lag": _whole(place.lag),
                    "worker": worker.worker,
                }
                for worker in store.workers
                for place in worker.partitions
            ),
            key=lambda row: (len(row["partition"]), row["partition"]),
        ),
        ("reasons", "rowData"): [
            {"id": reason, "reason": reason, "count": _whole(count)}
            for reason, count in reasons.items()
        ],
        ("rejections", "rowData"): [
            {
                "id": f"{row.topic}/{row.partition}/{row.offset}",
                "time": controls.zone.date_and_clock(int(row.time_ms))
                if 0 <= row.time_ms < 2**47
                else MISSING,
                "reason": row.reason,
                "place": f"{row.topic} {row.partition} {row.offset}",
                "detail": row.detail,
            }
            for row in store.rejections
        ],
    }
    props["rejections-zone", "children"] = controls.zone.spaced
    props |= model_props(store.workers, controls)
    props |= drift_props(store.drift, store.approvals, controls)
    return props | dict(_figures(store, sum(reasons.values())))


def _figures(store: Store, rejected: int) -> Iterator[tuple[tuple[str, str], str]]:
    workers = store.workers
    lags = [worker.lag for worker in workers if math.isfinite(worker.lag)]
    yield ("workers-count-value", "children"), str(len(workers)) if workers else MISSING
    rate = sum(worker.events_per_s for worker in workers if math.isfinite(worker.events_per_s))
    text = _("{rate} events per second").format(rate=decimal_text(rate, 1))
    yield ("workers-count-note", "children"), text if workers else _("no worker reports")
    yield ("lag-total-value", "children"), _whole(sum(lags)) if lags else MISSING
    yield ("lag-total-note", "children"), catch_up_text(store.vitals.catch_up_s()) if lags else ""
    total = sum(worker.rejected for worker in workers if math.isfinite(worker.rejected))
    events = sum(worker.events for worker in workers if math.isfinite(worker.events))
    yield ("rejected-total-value", "children"), _whole(max(total, rejected)) if workers else MISSING
    share = percent_text(total / events, 1) if events else ""
    yield (
        ("rejected-total-note", "children"),
        _("{share} of what was read").format(share=share) if share else "",
    )
    versions = {_models(worker.models) for worker in workers} - {MISSING}
    yield (
        ("models-used-value", "children"),
        next(iter(versions)) if len(versions) == 1 else (_("mixed") if versions else MISSING),
    )
    yield ("models-used-note", "children"), "; ".join(sorted(versions)) if len(versions) > 1 else ""
    memory = store.memory
    used = math.isfinite(memory.used)
    yield (
        ("memory-used-value", "children"),
        f"{memory.used / MIB:.0f}{THIN_SPACE}MiB" if used else MISSING,
    )
    limit = _("no limit is set")
    if memory.limit > 0:
        limit = _("{share} of its limit").format(share=percent_text(memory.used / memory.limit))
    yield ("memory-used-note", "children"), limit if used else ""


def _figure(name: str, title: str) -> Component:
    return html.Div(
        [
            html.Dt(title),
            html.Dd(html.Span(MISSING, id=f"{name}-value"), className="value"),
            html.Dd("", id=f"{name}-note", className="note"),
        ],
        className=f"card figure {name}",
    )


def _models(versions: Any) -> str:  # noqa: ANN401
    return ", ".join(f"{_(kind)} {version}" for kind, version in versions.items()) or MISSING


def _whole(number: float) -> str:
    return f"{number:,.0f}".replace(",", THIN_SPACE) if math.isfinite(number) else MISSING
