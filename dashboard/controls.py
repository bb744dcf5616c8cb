"""What the viewer has chosen, as the browser reports it: untrusted, so everything is checked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dataflows.keys import ALL_SOURCES

__all__ = ["DEFAULT_RANGE_S", "RANGES_S", "Controls", "Zone"]

# Time ranges in seconds and their names.
RANGES_S: Final = {60: "1 min", 300: "5 min", 900: "15 min", 3600: "1 h"}
DEFAULT_RANGE_S: Final = 300
_MAX_NAME: Final = 512


class Zone(NamedTuple):
    """The viewer's time zone."""

    name: str = "UTC"

    def clock(self, at_ms: int) -> str:
        """Return the time of day at a moment (epoch ms)."""
        return datetime.fromtimestamp(at_ms / 1000, _zone(self.name)).strftime("%H:%M:%S")

    def date_and_clock(self, at_ms: int) -> str:
        """Return date and time of day at a moment (epoch ms)."""
        return datetime.fromtimestamp(at_ms / 1000, _zone(self.name)).strftime("%Y-%m-%d %H:%M:%S")


class Controls(NamedTuple):
    """The choices of one page.

    Attributes:
        source: the chosen source, `*` for all.
        range_s: the shown time range in seconds, one of `RANGES_S`.
        dark: whether the dark scheme is on.
        touch: whether the pointer is a finger, for which charts must not catch scrolling.
        visible: whether the tab can be seen.
        zone: the viewer's time zone; UTC when the browser's is not known here.
    """

    source: str = ALL_SOURCES
    range_s: int = DEFAULT_RANGE_S
    dark: bool = False
    touch: bool = False
    visible: bool = True
    zone: Zone = Zone()

    @classmethod
    def parse(cls, data: Any) -> Controls:  # noqa: ANN401
        """Read what the page sent; whatever is wrong in it falls back to the default."""
        if not isinstance(data, Mapping):
            return cls()
        source = data.get("source")
        zone = data.get("zone")
        return cls(
            source=source if isinstance(source, str) and 0 < len(source) <= _MAX_NAME else "*",
            range_s=_range(data.get("range")),
            dark=data.get("scheme") == "dark",
            touch=data.get("touch") is True,
            visible=data.get("visible") is not False,
            zone=Zone(zone) if isinstance(zone, str) and _zone(zone).key == zone else Zone(),
        )


def _range(value: Any) -> int:  # noqa: ANN401
    try:
        seconds = int(value)
    except (TypeError, ValueError):
        return DEFAULT_RANGE_S
    return seconds if seconds in RANGES_S else DEFAULT_RANGE_S


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name[:64])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
