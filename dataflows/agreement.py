"""How far a second model agrees with the one in use, as integers that several processes add up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from models.errors import ContentError
from models.observation import SCALE, Observation
from models.scorer import Scored

__all__ = ["Agreement", "compared", "decode", "encode", "merged"]


class Agreement(NamedTuple):
    """What was found for one pair of versions of one kind.

    Attributes:
        kind: `face` or `text`.
        active: version in use.
        shadow: version that is tried beside it.
        events: that both have scored.
        observations: faces or texts in them.
        agreed: those for which both find the same expression, or sentiment of a text.
        confidence_sum: of the differences of confidence, shadow less active, in thousandths.
        unmatched: events in which the two have found another number of faces; not compared.
        failed: events that the shadow could not score.
        skipped: events that were to be compared while the shadow was too far behind.
    """

    kind: str
    active: str
    shadow: str
    events: int = 0
    observations: int = 0
    agreed: int = 0
    confidence_sum: int = 0
    unmatched: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def share(self) -> float | None:
        """Share of the observations on which both agree; None without any."""
        return self.agreed / self.observations if self.observations else None

    @property
    def confidence_delta(self) -> float | None:
        """Mean confidence of the shadow less that of the one in use; None without any."""
        return self.confidence_sum / SCALE / self.observations if self.observations else None

    def plus(self, other: Agreement) -> Agreement:
        """Return the sum of two of one pair."""
        sums = (a + b for a, b in zip(self[3:], other[3:], strict=True))
        return Agreement(*self[:3], *sums)


def compared(pair: Agreement, ours: Scored, theirs: Scored | ContentError) -> Agreement:
    """Return what one event adds.

    Args:
        pair: names kind and versions.
        ours: the result in use.
        theirs: that of the shadow.
    """
    found = Agreement(*pair[:3])
    if isinstance(theirs, ContentError):
        return found._replace(failed=1)
    left, right = _observed(pair.kind, ours), _observed(pair.kind, theirs)
    if len(left) != len(right):
        return found._replace(unmatched=1)
    return found._replace(
        events=1,
        observations=len(left),
        agreed=sum(_class(a) == _class(b) for a, b in zip(left, right, strict=True)),
        confidence_sum=sum(b.confidence - a.confidence for a, b in zip(left, right, strict=True)),
    )


def encode(found: Iterable[Agreement]) -> str:
    """Return a field of the heartbeat: a JSON list of objects, with share and delta for people."""
    return json.dumps(
        [
            {**one._asdict(), "agreement": one.share, "confidence_delta": one.confidence_delta}
            for one in found
        ]
    )


def decode(text: str | None) -> list[Agreement]:
    """Return what `encode` wrote; what is no such thing is left out."""
    try:
        rows = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return []
    return [one for row in rows if (one := _row(row))] if isinstance(rows, list) else []


def merged(found: Iterable[Agreement]) -> list[Agreement]:
    """Return the sums by kind and versions, of all processes."""
    sums: dict[tuple[str, str, str], Agreement] = {}
    for one in found:
        pair = one.kind, one.active, one.shadow
        sums[pair] = sums[pair].plus(one) if pair in sums else one
    return [sums[pair] for pair in sorted(sums)]


def _row(row: Any) -> Agreement | None:  # noqa: ANN401
    if not isinstance(row, Mapping):
        return None
    names = [row.get(name) for name in Agreement._fields[:3]]
    counts = [row.get(name) for name in Agreement._fields[3:]]
    known = [name for name in names if isinstance(name, str)]
    whole = [count for count in counts if type(count) is int and abs(count) < 2**53]
    if len(known) < len(names) or len(whole) < len(counts):
        return None
    kind, active, shadow = known
    return Agreement(kind, active, shadow, *whole)


def _observed(kind: str, scored: Scored) -> Sequence[Observation]:
    if kind == "face":
        return [face.observation for face in scored.faces]
    return [] if scored.text is None else [scored.text.observation]


def _class(observation: Observation) -> str:
    return observation.expression or observation.sentiment
