"""A model with a reference, and observations drawn from it, for the tests of drift."""

from __future__ import annotations

from random import Random

from dataflows.contract import Envelope, Record
from dataflows.drift import Baseline, Model, Seen
from dataflows.events import Event
from models.observation import SENTIMENTS
from models.reference import BINS, UNIT

SHARES = (0.3, 0.3, 0.4)
BASELINE = Baseline(
    classes=(300, 300, 400),
    confidence=(0, 0, 0, 100, 100, 100, 100, 200, 200, 200),
    mean=(0.0, 0.5),
    deviation=(1.0, 2.0),
)
MODEL = Model("text", "1.0.0", BASELINE)
BARE = Model("text", "0.9.0")


def draw(random: Random, model: Model = MODEL, away: float = 0.0, first: float = 0.0) -> Seen:
    """Draw an observation from the reference.

    Args:
        random: draws.
        model: what has seen it.
        away: how far the embedding is off, in standard deviations of each coordinate.
        first: share of the observations that are of the first class and unsure instead.
    """
    choice = random.choices(range(len(SENTIMENTS)), SHARES)[0]
    bin_ = random.choices(range(BINS), BASELINE.confidence)[0]
    if random.random() < first:
        choice, bin_ = 0, 3
    coordinates = tuple(
        round(random.gauss(mean + away * spread, spread) * UNIT)
        for mean, spread in zip(BASELINE.mean, BASELINE.deviation, strict=True)
    )
    sure = bin_ * 100 + random.randrange(100)
    return Seen(model, choice, sure, coordinates if model.baseline else None)


def event(source: str, time_ms: int, *seen: Seen) -> Event:
    """Return an event with these."""
    record = Record("t", 0, 0, None, None, (), time_ms)
    return Event(Envelope(record, "", source, time_ms, None), (), "", (), seen)
