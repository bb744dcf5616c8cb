"""Stored panes as they come from the hashes of Redis, into arrays."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from dashboard.series import KEEP_S, Integers
from dataflows.keys import BUCKETS_PER_BLOCK, Keys
from dataflows.panes import FIELDS, Pane

__all__ = ["decode", "decode_pane", "keys_of"]

logger = logging.getLogger(__name__)

MOST: Final = 2**53  # no honest sum is larger; what is would not fit in 64 bits when added up
_COMMAS: Final = len(FIELDS) - 1


def keys_of(keys: Keys, source: str, resolution_s: int, newest_s: int) -> list[str]:
    """Return the hashes with the panes of a source up to the second `newest_s` (epoch s)."""
    first = Keys.block(resolution_s, newest_s - KEEP_S[resolution_s])
    span = resolution_s * BUCKETS_PER_BLOCK
    return [keys.pane(resolution_s, source, block) for block in range(first, newest_s + 1, span)]


def decode(hashes: Iterable[Mapping[str, str]]) -> tuple[Integers, Integers]:
    """Return buckets (epoch s), of shape (panes,), and their panes, of shape (panes, 15).

    What is unreadable is reported and left out.
    """
    fields: dict[str, str] = {}
    for part in hashes:
        fields |= part
    try:
        return _decode_all(fields)
    except (ValueError, OverflowError):
        readable = [item for item in fields.items() if decode_pane(*item)]
        return _decode_all(dict(readable))


def decode_pane(bucket: str, pane: str) -> tuple[int, Pane] | None:
    """Return a bucket (epoch s) and its pane; `None`, and a warning, when they are unreadable."""
    try:
        start, decoded = int(bucket), Pane.decode(pane)
        if max(map(abs, (start, *decoded))) > MOST:
            raise ValueError(f"a number is too large: {pane!r}")
    except ValueError as error:
        logger.warning("a pane of bucket %r is left out: %s", bucket, error)
        return None
    return start, decoded


def _decode_all(fields: Mapping[str, str]) -> tuple[Integers, Integers]:
    """Decode all at once, which takes a tenth of the time.

    Raises:
        ValueError: one of them is unreadable.
    """
    if not fields:
        return np.zeros(0, dtype=np.int64), np.zeros((0, len(FIELDS)), dtype=np.int64)
    if any(pane.count(",") != _COMMAS for pane in fields.values()):
        raise ValueError("a pane has another number of integers")
    buckets = np.array(json.loads(f"[{','.join(fields)}]"))
    panes = np.array(json.loads(f"[{','.join(fields.values())}]"))
    for numbers in (buckets, panes):
        if numbers.dtype != np.int64 or np.abs(numbers).max() > MOST:
            raise ValueError("not all are integers of a fitting size")
    return buckets, panes.reshape(len(fields), len(FIELDS))
