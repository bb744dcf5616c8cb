"""The panels of the live and the history page."""

from __future__ import annotations

from typing import Any, Final

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from dashboard.drawing import OTHER
from dashboard.kinds import kinds_table
from dashboard.language import gettext as _
from dashboard.theme import EXPRESSION_ORDER, SENTIMENT_ORDER
from dashboard.toolkit import card, figure, graph_area, label, legend, place_for
from dataflows.keys import ALL_SOURCES

__all__ = ["alerts_table", "feed_table", "history_tools", "panels"]

FEED_HEIGHT: Final = "324px"
ALERTS_HEIGHT: Final = "190px"


def panels() -> list[Component]:
    """Return everything below the header but the tools of the history page.

    Charts and tables have a place of their height: charts come when they have something to show,
    tables after the first line.
    """
    return [
        html.Dl(
            [
                figure("valence", _("Valence"), spread=True),
                figure("expression", _("Dominant expression"), spread=True),
                figure("confidence", _("Confidence"), note=_("mean probability")),
                figure("rate", _("Events per second")),
                figure("age", _("Data age")),
            ],
            className="figures",
        ),
        html.Div([_side(""), _side(OTHER)], className="sides"),
        card(_("Faces and texts"), html.Span(id="kinds-note"), kinds_table()),
        html.Div(
            [
                card(
                    _("Sources"),
                    [
                        html.Span(_("valence; faded where few were seen"), className="words"),
                        html.Span(id="heat-note"),
                    ],
                    graph_area("heat", _("Valence by source and time")),
                ),
                card(
                    _("Throughput"),
                    html.Span(id="flow-note"),
                    graph_area("flow", _("Events per second, latency and lag over time")),
                    only="live",
                ),
            ],
            className="charts",
        ),
        card(
            _("Alerts"),
            html.Span(id="alerts-note"),
            html.Div(id=place_for("alerts"), style={"height": ALERTS_HEIGHT}),
            only="live",
        ),
        card(
            _("Latest events"),
            _("newest first"),
            html.Div(id=place_for("feed"), style={"height": FEED_HEIGHT}),
            aside=html.Button("", id="new", className="pill", hidden=True),
            only="live",
        ),
    ]


def history_tools() -> Component:
    """Return what the history page has above its charts."""
    return html.Section(
        [
            html.Div(
                [
                    html.Span(id="scrub-from"),
                    html.Button("\u2039", id="earlier", className="plain", **label(_("Earlier"))),
                    html.Div(
                        dmc.Slider(
                            id="scrub",
                            min=0,
                            max=1,
                            value=1,
                            label=None,
                            updatemode="drag",
                            thumbLabel=_("End of the shown period"),
                        ),
                        className="track",
                    ),
                    html.Button("\u203a", id="later", className="plain", **label(_("Later"))),
                    html.Span(id="scrub-to"),
                    html.Button(_("Newest"), id="newest", className="plain"),
                ],
                className="scrubber",
            ),
            html.Div(
                [
                    dmc.SegmentedControl(
                        id="compare",
                        data=[
                            {"value": "none", "label": _("One view")},
                            {"value": "source", "label": _("Two sources")},
                            {"value": "period", "label": _("Two periods")},
                        ],
                        value="none",
                        **label(_("Compare")),
                    ),
                    html.Div(
                        dmc.Select(
                            id="other",
                            data=[{"value": ALL_SOURCES, "label": _("All sources")}],
                            value=ALL_SOURCES,
                            searchable=True,
                            allowDeselect=False,
                            limit=200,
                            nothingFoundMessage=_("No such source"),
                            comboboxProps={"withinPortal": False},
                            **label(_("Source to compare with")),
                        ),
                        className="by-source",
                    ),
                    html.Div(
                        dmc.Select(
                            id="shift",
                            data=[
                                {"value": "0", "label": _("the period before")},
                                {"value": "3600", "label": _("an hour earlier")},
                                {"value": "86400", "label": _("a day earlier")},
                            ],
                            value="0",
                            allowDeselect=False,
                            comboboxProps={"withinPortal": False},
                            **label(_("Period to compare with")),
                        ),
                        className="by-period",
                    ),
                ],
                className="compare",
            ),
        ],
        className="card history-tools only-history",
        **label(_("Period")),
    )


def _side(prefix: str) -> Component:
    """Return the charts that may stand side by side; those beside begin their ids with `prefix`."""
    expressions = {name: _(name) for name in EXPRESSION_ORDER}
    sentiments = {name: _(name) for name in SENTIMENT_ORDER}
    cards = [
        card(
            _("Valence"),
            html.Span(id=f"{prefix}rolling-note"),
            graph_area(f"{prefix}valence", _("Rolling mean of valence over time, from -1 to 1")),
            aside=None if prefix else html.Span(id="zone"),
        ),
        card(
            _("Expressions"),
            _("share of faces"),
            legend(expressions, f"{prefix}share-"),
            graph_area(f"{prefix}mix", _("Shares of the seven expressions over time")),
        ),
        card(
            _("Sentiment"),
            _("share of faces and texts"),
            legend(sentiments, f"{prefix}share-of-"),
            graph_area(f"{prefix}share", _("Shares of positive, neutral and negative over time")),
        ),
    ]
    head = html.Div(
        [html.H2(id=f"{prefix}title"), html.P(id=f"{prefix}summary")], className="card side-head"
    )
    return html.Div([head, *cards], className="side beside" if prefix else "side")


def alerts_table() -> Component:
    """Return the list of alerts."""
    columns: list[dict[str, Any]] = [
        {
            "field": "state",
            "headerName": _("State"),
            "width": 110,
            "cellClassRules": {
                f"kind {kind}": f"params.data.kind === '{kind}'" for kind in ("firing", "resolved")
            },
        },
        {"field": "name", "headerName": _("What"), "flex": 2, "minWidth": 170},
        {"field": "source", "headerName": _("Source"), "flex": 2, "minWidth": 110},
        {"field": "text", "headerName": _("Found"), "flex": 2, "minWidth": 160},
        {"field": "when", "headerName": _("When"), "flex": 2, "minWidth": 210},
    ]
    grid: Component = dag.AgGrid(
        id="alerts",
        columnDefs=columns,
        rowData=[],
        getRowId="params.data.id",
        defaultColDef={"sortable": False, "resizable": False, "suppressMovable": True},
        dashGridOptions={
            "rowHeight": 34,
            "headerHeight": 36,
            "animateRows": False,
            "localeText": {"noRowsToShow": _("Nothing to be told of")},
        },
        className="feed",
        style={"height": ALERTS_HEIGHT},
    )
    return grid


def feed_table() -> Component:
    """Return the feed of predictions."""
    number = {"type": "rightAligned"}
    kinds = EXPRESSION_ORDER
    columns: list[dict[str, Any]] = [
        {"field": "time", "headerName": _("Time"), "width": 96},
        {"field": "source", "headerName": _("Source"), "flex": 2, "minWidth": 110},
        {"field": "faces", "headerName": _("Faces"), "width": 90, **number},
        {
            "field": "expression",
            "headerName": _("Expression"),
            "flex": 2,
            "minWidth": 140,
            "cellClassRules": {f"kind {name}": f"params.data.kind === '{name}'" for name in kinds},
        },
        {
            "field": "text",
            "headerName": _("Text"),
            "flex": 1,
            "minWidth": 120,
            "cellClassRules": {
                f"kind {name}": f"params.data.said === '{name}'" for name in SENTIMENT_ORDER
            },
        },
        {"field": "confidence", "headerName": _("Confidence"), "width": 112, **number},
        {"field": "valence", "headerName": _("Valence"), "width": 96, **number},
    ]
    grid: Component = dag.AgGrid(
        id="feed",
        columnDefs=columns,
        rowData=[],
        getRowId="params.data.id",
        defaultColDef={"sortable": False, "resizable": False, "suppressMovable": True},
        dashGridOptions={
            "rowHeight": 34,
            "headerHeight": 36,
            "animateRows": False,
            "suppressCellFocus": False,
            "rowSelection": {
                "mode": "singleRow",
                "checkboxes": False,
                "enableClickSelection": True,
            },
            "localeText": {"noRowsToShow": _("None of the newest predictions is of this source")},
        },
        className="feed",
        style={"height": FEED_HEIGHT},
    )
    return grid
