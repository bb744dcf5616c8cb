"""The Redis contract: names of keys, resolutions and how long each is kept.

Writers and readers share this module, so that no key is spelled twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["ALL_SOURCES", "BUCKETS_PER_BLOCK", "EXPIRY_S", "RESOLUTIONS_S", "Keys", "PaneKey"]

ALL_SOURCES: Final = "*"  # the sum over all sources
RESOLUTIONS_S: Final = (1, 10, 60)
BUCKETS_PER_BLOCK: Final = 60
# Seconds that a pane hash lives after its last write, by resolution: 2 h, 24 h, 7 d.
EXPIRY_S: Final = {1: 2 * 3600, 10: 24 * 3600, 60: 7 * 24 * 3600}
UPDATES_MAXLEN: Final = 100_000
EVENTS_MAXLEN: Final = 500
ALERTS_MAXLEN: Final = 1_000
REJECTIONS_MAXLEN: Final = 200
HEARTBEAT_EXPIRY_S: Final = 10
DRIFT_BLOCK_S: Final = 24 * 3600
DRIFT_EXPIRY_S: Final = 7 * 24 * 3600  # after the last write
THUMBNAIL_EXPIRY_S: Final = 300
THUMBNAILS_MOST: Final = 16  # of one event


class PaneKey(NamedTuple):
    """What a pane key names: resolution in seconds, source, start of the block (epoch s)."""

    resolution_s: int
    source: str
    block: int


@dataclass(frozen=True, slots=True)
class Keys:
    """Builds and reads the key names under one prefix."""

    prefix: str = "sentistream:v1"

    def pane(self, resolution_s: int, source: str, bucket: int) -> str:
        """Return the key of the hash that holds the bucket starting at `bucket` (epoch s)."""
        return f"{self.prefix}:pane:{resolution_s}:{source}:{self.block(resolution_s, bucket)}"

    @staticmethod
    def block(resolution_s: int, bucket: int) -> int:
        """Return the start (epoch s) of the block of 60 buckets that holds `bucket`."""
        span = resolution_s * BUCKETS_PER_BLOCK
        return bucket // span * span

    def parse_pane(self, key: str) -> PaneKey:
        """Read a pane key from both ends, since a source may contain colons.

        Raises:
            ValueError: the key is not a pane key under this prefix.
        """
        head = f"{self.prefix}:pane:"
        try:
            if not key.startswith(head):
                raise ValueError(key)
            resolution, rest = key[len(head) :].split(":", 1)
            source, block = rest.rsplit(":", 1)
            return PaneKey(int(resolution), source, int(block))
        except ValueError as error:
            raise ValueError(f"not a pane key under {self.prefix!r}: {key!r}") from error

    def rolling(self, source: str, window_s: int) -> str:
        """Return the key of the rolling window of `window_s` seconds of a source."""
        return f"{self.prefix}:rolling:{source}:{window_s}"

    def drift(self, source: str, hour: int) -> str:
        """Return the key of the hash that holds the hour starting at `hour` (epoch s)."""
        return f"{self.prefix}:drift:{source}:{hour // DRIFT_BLOCK_S * DRIFT_BLOCK_S}"

    def worker(self, worker_id: str) -> str:
        """Return the key of a worker's heartbeat."""
        return f"{self.prefix}:worker:{worker_id}"

    def witness(self, worker: int) -> str:
        """Return the key that says which server has all panes of a worker."""
        return f"{self.prefix}:witness:{worker}"

    def thumbnail(self, event_id: str, face: int) -> str:
        """Return the key of the small picture (base64 of a JPEG) of a face, from 0."""
        return f"{self.prefix}:thumbnail:{face}:{event_id}"

    @property
    def updates(self) -> str:
        """Stream of changed 1 s panes: `source`, `bucket`, `pane`."""
        return f"{self.prefix}:updates"

    @property
    def sources(self) -> str:
        """Sorted set of sources by newest event time (ms)."""
        return f"{self.prefix}:sources"

    @property
    def events(self) -> str:
        """Stream of the newest predictions, without pictures."""
        return f"{self.prefix}:events"

    @property
    def rejections(self) -> str:
        """Stream of the newest rejected records: where they stand and why, without their values."""
        return f"{self.prefix}:rejections"

    @property
    def feedback(self) -> str:
        """Hash: bundle and `agreed` or `disagreed` → how many corrections by people said so."""
        return f"{self.prefix}:feedback"

    @property
    def alerts(self) -> str:
        """Stream of alerts."""
        return f"{self.prefix}:alerts"
