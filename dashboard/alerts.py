"""Alerts of the flow as the Redis contract has them, and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from dashboard.controls import Zone
from dashboard.language import gettext as _
from dashboard.texts import age_text, decimal_text, percent_text
from dataflows.keys import ALL_SOURCES

__all__ = ["AlertRow", "alert_name", "alert_row"]


class AlertRow(NamedTuple):
    """One alert; `ended` is `None` while it lasts. Times are epoch s."""

    id: str
    rule: str
    source: str
    started: int
    ended: int | None
    value: float
    baseline: float

    @classmethod
    def parse(cls, fields: Mapping[str, str]) -> AlertRow:
        """Read an entry of the stream of alerts.

        Raises:
            ValueError: it is not what the contract says.
        """
        try:
            ended = fields["ended"]
            row = cls(
                fields["id"],
                fields["rule"],
                fields["source"],
                int(fields["started"]),
                int(ended) if ended else None,
                float(fields["value"]),
                float(fields["baseline"]),
            )
        except KeyError as error:
            raise ValueError(f"not an alert: {error} is missing") from error
        times = (row.started, row.ended or row.started)
        if not all(0 <= at < 2**40 for at in times) or not math.isfinite(row.value + row.baseline):
            raise ValueError(f"not an alert: a number is out of range in {dict(fields)}")
        return row


def alert_name(rule: str) -> str:
    """Return what a rule is called."""
    names = {
        "valence_shift": _("Valence has shifted"),
        "negative_share": _("Many negative"),
        "confidence_drop": _("Confidence has dropped"),
        "silent": _("Silent"),
        "mix_drift": _("Classes have drifted"),
        "confidence_drift": _("Confidence has drifted"),
        "embedding_drift": _("Embedding has drifted"),
    }
    return names.get(rule, rule)


def _text(row: AlertRow) -> str:
    """Return what was found, against what."""
    value, baseline = row.value, row.baseline
    if row.rule == "valence_shift":
        return _("{value}, before {baseline}").format(
            value=decimal_text(value, sign=True), baseline=decimal_text(baseline, sign=True)
        )
    if row.rule == "silent":
        return _("no event for {time}").format(time=age_text(value))
    if row.rule.endswith("_drift"):
        return _("{value}, limit {baseline}").format(
            value=decimal_text(value), baseline=decimal_text(baseline)
        )
    told = _("{value}, limit {baseline}") if row.rule == "negative_share" else ""
    told = told or _("{value}, before {baseline}")
    return told.format(value=percent_text(value), baseline=percent_text(baseline))


def _when(row: AlertRow, zone: Zone) -> str:
    """Return from when to when, in the viewer's zone."""
    start = zone.date_and_clock(row.started * 1000)
    if row.ended is None:
        return _("since {start}").format(start=start)
    return _("{start}, for {time}").format(start=start, time=age_text(row.ended - row.started))


def alert_row(row: AlertRow, zone: Zone) -> dict[str, str]:
    """Return a line of the list."""
    return {
        "id": row.id,
        "state": _("lasts") if row.ended is None else _("over"),
        "kind": "firing" if row.ended is None else "resolved",
        "name": alert_name(row.rule),
        "source": _("All sources") if row.source == ALL_SOURCES else row.source,
        "text": _text(row),
        "when": _when(row, zone),
    }
