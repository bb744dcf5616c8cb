"""What the viewer has chosen, as the browser reports it: untrusted, so everything is checked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dashboard.scales import DEFAULT_RANGE_S, SCALES, Scale
from dashboard.texts import MISSING
from dataflows.keys import ALL_SOURCES

__all__ = ["PLACES", "SHIFTS_S", "Compare", "Controls", "Place", "Zone"]

Place = Literal["live", "history", "pipeline", "try"]
Compare = Literal["none", "source", "period"]
PLACES: Final[tuple[Place, ...]] = get_args(Place)
# Seconds that the compared period may lie before; 0 is the period right before.
SHIFTS_S: Final = (0, 3600, 24 * 3600)
_MAX_NAME: Final = 512
_MAX_TIME: Final = 2**40  # epoch s, far beyond any event


class Zone(NamedTuple):
    """The viewer's time zone."""

    name: str = "UTC"

    @property
    def spaced(self) -> str:
        """Its name for a reader."""
        return self.name.replace("_", " ")

    def clock(self, at_ms: int) -> str:
        """Return the time of day at a moment (epoch ms)."""
        return self._format(at_ms, "%H:%M:%S")

    def date_and_clock(self, at_ms: int) -> str:
        """Return date and time of day at a moment (epoch ms)."""
        return self._format(at_ms, "%Y-%m-%d %H:%M:%S")

    def at(self, at_ms: int, *, dated: bool) -> str:
        """Return a moment (epoch ms) with or without its date."""
        return self.date_and_clock(at_ms) if dated else self.clock(at_ms)

    def _format(self, at_ms: int, pattern: str) -> str:
        try:
            return datetime.fromtimestamp(at_ms / 1000, _zone(self.name)).strftime(pattern)
        except (OverflowError, ValueError):  # the last hours of the year 9999, in some zones
            return MISSING


class Controls(NamedTuple):
    """The choices of one page.

    Attributes:
        place: the page that is shown.
        source: the chosen source, `*` for all.
        range_s: the shown time range in seconds, a key of `SCALES`.
        end: newest shown second (epoch s); `None` follows the data.
        compare: what stands beside it.
        other: the source that stands beside it.
        shift_s: how long before the compared period lies, one of `SHIFTS_S`.
        dark: whether the dark scheme is on.
        touch: whether the pointer is a finger, for which charts must not catch scrolling.
        visible: whether the tab can be seen.
        zone: the viewer's time zone; UTC when the browser's is not known here.
    """

    place: Place = "live"
    source: str = ALL_SOURCES
    range_s: int = DEFAULT_RANGE_S
    end: int | None = None
    compare: Compare = "none"
    other: str = ALL_SOURCES
    shift_s: int = 0
    dark: bool = False
    touch: bool = False
    visible: bool = True
    zone: Zone = Zone()

    @property
    def scale(self) -> Scale:
        """How the range is drawn."""
        return SCALES[self.range_s]

    @classmethod
    def parse(cls, data: Any) -> Controls:  # noqa: ANN401
        """Read what the page sent; whatever is wrong in it falls back to the default."""
        if not isinstance(data, Mapping):
            return cls()
        zone = data.get("zone")
        place, compare = data.get("place"), data.get("compare")
        shift_s = _integer(data.get("shift"), 0)
        range_s = _integer(data.get("range"), DEFAULT_RANGE_S)
        end = _integer(data.get("end"), -1)
        return cls(
            place=cast("Place", place) if place in PLACES else "live",
            source=_source(data.get("source")),
            range_s=range_s if range_s in SCALES else DEFAULT_RANGE_S,
            end=end if 0 <= end < _MAX_TIME else None,
            compare=cast("Compare", compare) if compare in get_args(Compare) else "none",
            other=_source(data.get("other")),
            shift_s=shift_s if shift_s in SHIFTS_S else 0,
            dark=data.get("scheme") == "dark",
            touch=data.get("touch") is True,
            visible=data.get("visible") is not False,
            zone=Zone(zone) if isinstance(zone, str) and _zone(zone).key == zone else Zone(),
        )


def _source(value: Any) -> str:  # noqa: ANN401
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_NAME else ALL_SOURCES


def _integer(value: Any, default: int) -> int:  # noqa: ANN401
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return default


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name[:64])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
