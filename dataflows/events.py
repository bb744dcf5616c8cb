"""An accepted event with its result."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from dataflows.contract import Envelope
from dataflows.drift import Seen
from dataflows.head import is_live
from models.observation import Observation
from models.scorer import Face

__all__ = ["Event", "confirmed_ms", "shortened"]


class Event(NamedTuple):
    """An accepted event with its result.

    Attributes:
        envelope: identity, source and time.
        observations: one of each face and text; there may be none.
        prediction: the result as public JSON, with the source and the time.
        faces: those of a picture; empty for what was scored elsewhere.
        seen: what counts for drift: what our own bundles have scored.
    """

    envelope: Envelope
    observations: tuple[Observation, ...]
    prediction: str
    faces: tuple[Face, ...] = ()
    seen: tuple[Seen, ...] = ()


def confirmed_ms(events: Iterable[Event], ahead_ms: int, now_ms: int) -> int:
    """Return the newest event time (epoch ms) that a clock other than the sender's confirms, or 0.

    What has the broker's timestamp has been held against it: see `open_envelope`.
    """
    newest = 0
    for envelope, _, _, _, _ in events:
        time_ms = envelope.time_ms
        if time_ms > newest and (envelope.record.by_broker or is_live(time_ms, now_ms, ahead_ms)):
            newest = time_ms
    return newest


def shortened(prediction: str) -> str:
    """Return a prediction without its parts; what the event is as a whole is left."""
    document = json.loads(prediction) | {"faces": [], "text": None, "shortened": True}
    return json.dumps(document, separators=(",", ":"))
