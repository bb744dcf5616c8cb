"""Events for the chaos tests: many sources, out of order, some too late, some poison."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime

from streams import Sent

START_S = 1_790_000_000
SENT_AFTER_S = 10 * 86_400  # the records' own timestamps: no event is ahead of them
SPAN_S = 3600  # of event time that the events are spread over
DISORDER_S = 600
LATE_S = 2000  # behind the others, where the limit is 900
POISON = (b"", b"{", b'{"text_": 1}', b'{"emotions": [{"anger": 0.5}]}')
# Eighths are exact in binary, so that no rounding depends on the order of a sum.
SHARES = (
    {"happiness": 0.75, "neutral": 0.25},
    {"anger": 0.5, "sadness": 0.375, "surprise": 0.125},
    {"neutral": 0.5, "surprise": 0.5},
    {"fear": 0.625, "disgust": 0.25, "happiness": 0.125},
    {"sadness": 1.0},
)


@dataclass(frozen=True)
class Mix:
    """What the events are like.

    Attributes:
        late: share of events that are behind the limit, if their source is not behind as well.
        poison: share of events that cannot be used.
        partitions: over which events without a key are spread.
        apart_s: event time between one partition and the next.
        sources: how many there are.
        keyed: share of events whose key is their source, and whose partition follows from it.
        hour: of event time since the start, in which these events lie.
    """

    late: float = 0.01
    poison: float = 0.01
    partitions: int = 4
    apart_s: int = 0
    sources: int = 50
    keyed: float = 0.5
    hour: int = 0


def traffic(count: int, seed: int, mix: Mix = Mix()) -> list[Sent]:
    """Return events in the order in which they are sent."""
    generator = random.Random(seed)
    return [_event(index / count, generator, mix) for index in range(count)]


def _event(done: float, generator: random.Random, mix: Mix) -> Sent:
    partition = generator.randrange(mix.partitions)
    seconds = (mix.hour + done) * SPAN_S - generator.random() * DISORDER_S + mix.apart_s * partition
    if generator.random() < mix.late:
        seconds -= LATE_S
    if generator.random() < mix.poison:
        value = generator.choice(POISON)
    else:
        faces = generator.choices(SHARES, k=generator.randrange(4))
        value = json.dumps({"emotions": faces}).encode()
    moment = datetime.fromtimestamp(round(START_S + seconds, 3), UTC)
    headers = {
        "content-type": b"application/json",
        "ce_time": moment.isoformat(timespec="milliseconds").encode(),
    }
    source = f"source {generator.randrange(mix.sources)}"
    stamp = (START_S + SENT_AFTER_S) * 1000
    if generator.random() < mix.keyed:
        return Sent(value or None, headers, source, timestamp_ms=stamp)
    headers["ce_source"] = source.encode()
    return Sent(value or None, headers, partition=partition, timestamp_ms=stamp)
