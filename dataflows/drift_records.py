"""Hours of drift as Redis holds them: what is written, and read back by whoever shows it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, get_args

from dataflows.drift import Model, Sums, Verdict, measure, verdict
from dataflows.drift_hours import Cell
from dataflows.drift_options import DriftOptions
from dataflows.keys import ALL_SOURCES, DRIFT_BLOCK_S, Keys
from models.manifest import CLASSES
from models.reference import BINS

__all__ = ["DriftRow", "encode", "newest", "parse", "places"]

DIGITS: Final = 4
SOURCES_MOST: Final = 100  # that are asked for at once, those with the newest events
_VERDICTS: Final = frozenset(get_args(Verdict))


class DriftRow(NamedTuple):
    """One hour of one source and version.

    Attributes:
        source: `*` is all.
        hour: its begin, epoch s.
        kind: `face` or `text`.
        version: of the bundle that scored.
        n: faces or texts.
        mix: population stability index of the classes; None where there is nothing to say.
        confidence: the same of confidence.
        embedding: squared distance of the embedding.
        verdict: what is to be said of it.
    """

    source: str
    hour: int
    kind: str
    version: str
    n: int
    mix: float | None
    confidence: float | None
    embedding: float | None
    verdict: str


def encode(cell: Cell, model: Model, sums: Sums, options: DriftOptions) -> tuple[str, str]:
    """Return name and value of the field of a cell."""
    hour, kind, version = cell
    names = CLASSES[kind]
    figures = measure(model, sums, options.min_observations)
    document = {
        "n": figures.n,
        "classes": dict(zip(names, sums[: len(names)], strict=True)),
        "confidence": sums[len(names) : len(names) + BINS],
        "mix_psi": _rounded(figures.mix),
        "confidence_psi": _rounded(figures.confidence),
        "embedding_distance": _rounded(figures.embedding),
        "verdict": verdict(model, figures, options),
    }
    return f"{hour}:{kind}:{version}", json.dumps(document, separators=(",", ":"))


def parse(source: str, fields: Mapping[str, str]) -> list[DriftRow]:
    """Return the rows of a hash; what is none of ours is left out."""
    return [row for name, value in fields.items() if (row := _row(source, name, value))]


def places(keys: Keys, sources: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return the sources to ask for, `*` first, each with the keys of its last two days.

    Args:
        keys: names of the keys.
        sources: newest event time (epoch ms) by source, without `*` or with it.
    """
    if not sources:
        return []
    single = sorted((s for s in sources if s != ALL_SOURCES), key=lambda s: -sources[s])
    found = []
    for source in (ALL_SOURCES, *single[:SOURCES_MOST]):
        newest_s = sources.get(source, max(sources.values())) // 1000
        for second in (newest_s, newest_s - DRIFT_BLOCK_S):
            found.append((source, keys.drift(source, second)))
    return found


def newest(rows: list[DriftRow], most: int) -> list[DriftRow]:
    """Return the newest so many rows of each source, kind and version, the newest first."""
    kept: list[DriftRow] = []
    seen: dict[tuple[str, str, str], int] = {}
    for row in sorted(rows, key=lambda row: -row.hour):
        key = row.source, row.kind, row.version
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= most:
            kept.append(row)
    return sorted(
        kept, key=lambda row: (row.source != ALL_SOURCES, row.source, -row.hour, row.kind)
    )


def _row(source: str, name: str, value: str) -> DriftRow | None:
    try:
        hour, kind, version = name.split(":", 2)
        document: dict[str, Any] = json.loads(value)
        if kind not in CLASSES or document["verdict"] not in _VERDICTS:
            return None
        return DriftRow(
            source,
            _within(int(hour)),
            kind,
            version,
            _within(int(document["n"])),
            _number(document["mix_psi"]),
            _number(document["confidence_psi"]),
            _number(document["embedding_distance"]),
            document["verdict"],
        )
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None


def _within(value: int) -> int:
    if not 0 <= value < 2**37:  # also a moment that has a date
        raise ValueError(f"out of range: {value}")
    return value


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    raise ValueError("no number")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
