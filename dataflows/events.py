"""An accepted event with its result."""

from __future__ import annotations

import json
from typing import NamedTuple

from dataflows.contract import Envelope
from dataflows.drift import Seen
from models.observation import Observation
from models.scorer import Face

__all__ = ["Event", "shortened"]


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


def shortened(prediction: str) -> str:
    """Return a prediction without its parts; what the event is as a whole is left."""
    document = json.loads(prediction) | {"faces": [], "text": None, "shortened": True}
    return json.dumps(document, separators=(",", ":"))
