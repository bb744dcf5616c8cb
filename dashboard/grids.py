"""Tables of the pages, all alike."""

from __future__ import annotations

from typing import Any, Final

import dash_ag_grid as dag
from dash.development.base_component import Component

__all__ = ["NUMBER", "column", "grid"]

NUMBER: Final = {"type": "rightAligned"}
SCROLLED: Final = ("rejections", "drift")  # with many rows


def grid(name: str, nothing: str, *columns: dict[str, Any]) -> Component:
    """Return a table.

    Args:
        name: its id.
        nothing: what it says without rows.
        columns: from `column`.
    """
    table: Component = dag.AgGrid(
        id=name,
        columnDefs=list(columns),
        rowData=[],
        getRowId="params.data.id",
        defaultColDef={"sortable": False, "resizable": True, "suppressMovable": True},
        dashGridOptions={
            "rowHeight": 34,
            "headerHeight": 36,
            "animateRows": False,
            "enableCellTextSelection": True,
            "ensureDomOrder": True,
            "domLayout": "normal" if name in SCROLLED else "autoHeight",
            "localeText": {"noRowsToShow": nothing},
        },
        className="feed",
        style={"height": "324px" if name in SCROLLED else None},
    )
    return table


def column(field: str, title: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a column of the field, narrow unless the options say otherwise."""
    width = {} if {"flex", "width"} & options.keys() else {"width": 92}
    return {"field": field, "headerName": title, **width, **options}
