"""The connection badge: what the server says about the way from the stream to this page.

The browser adds the last link, the one from the server to the page.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from dashboard.language import gettext as _
from dashboard.store import Store
from dashboard.texts import age_text

__all__ = ["LIVE_S", "SILENT_S", "Status", "status"]

# An update younger than this is live, as long as a worker may be there that waits for events.
LIVE_S: Final = 10
# Without a heartbeat for so long nobody is there: workers beat every two seconds, and are looked
# at as often.
SILENT_S: Final = 4.5

State = Literal["connecting", "live", "stale", "disconnected"]


class Status(NamedTuple):
    """State of the badge and a short reason for people."""

    state: State
    detail: str


def status(store: Store, now: float) -> Status:
    """Judge by the arrival of updates, not by event time: old data that flows is live.

    Args:
        store: the state.
        now: the clock on which `store.updated_at` and heartbeats were taken, in seconds.
    """
    if store.redis == "connecting":
        return Status("connecting", _("opening Redis"))
    if store.redis == "down":
        return Status("disconnected", _("Redis does not answer; trying again"))
    if store.updated_at is None:
        return Status("stale", _("no event yet"))
    silence_s = now - store.updated_at
    present = any(not now - worker.beat_at > SILENT_S for worker in store.workers)
    if silence_s <= (LIVE_S if present else SILENT_S):
        return Status("live", "")
    reason = _("no new data for {time}").format(time=age_text(silence_s))
    if not present:
        reason = _("{reason}, no worker reports").format(reason=reason)
    return Status("stale", reason)
