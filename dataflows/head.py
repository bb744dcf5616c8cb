"""How far many sources have come in event time together, so that no wrong clock moves the others.

Event times are claims of who sends. One that is ahead of all others is either the only source that
still sends, or has a wrong clock, and times alone cannot tell which. So a time counts once a second
source has reached it too, or once a clock other than the sender's has confirmed it.

Pure. Heads are merged in any order, and as often as one likes: what comes out is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

__all__ = ["NO_HEAD", "Head", "is_live"]

LIVE_MS: Final = 60_000


class Head(NamedTuple):
    """The newest event times of a set of sources, as far as the head depends on them.

    Attributes:
        confirmed_ms: newest event time (epoch ms) that was confirmed by a clock; 0 if none was.
        first: newest event time of the source that is furthest ahead, and its name.
        second: the same of the one behind it; its name is empty while there is but one source.
    """

    confirmed_ms: int = 0
    first: tuple[int, str] = (0, "")
    second: tuple[int, str] = (0, "")

    @staticmethod
    def of(newest_ms: Mapping[str, int], confirmed_ms: int = 0) -> Head:
        """Return the head of sources with these newest event times."""
        return _head(((time_ms, name) for name, time_ms in newest_ms.items()), confirmed_ms)

    def merge(self, other: Head) -> Head:
        """Return the head of both together."""
        if other == self:
            return self
        newest: dict[str, int] = {}
        for time_ms, name in (self.first, self.second, other.first, other.second):
            if name and time_ms >= newest.get(name, 0):
                newest[name] = time_ms
        return Head.of(newest, max(self.confirmed_ms, other.confirmed_ms))

    @property
    def newest_ms(self) -> int:
        """The newest event time (epoch ms) of any source."""
        return self.first[0]

    @property
    def shared_ms(self) -> int:
        """The newest event time (epoch ms) that no single source has reached alone; else 0."""
        return max(self.confirmed_ms, self.second[0])

    @property
    def time_ms(self) -> int:
        """The same, but a source that has always been alone is followed.

        It goes back once, when the second source of all appears behind the first.
        """
        return self.shared_ms if self.second[1] else max(self.confirmed_ms, self.first[0])


NO_HEAD: Final = Head()


def is_live(time_ms: int, now_ms: int, ahead_ms: int) -> bool:
    """Whether the clock of the reader confirms an event time: it is of now (all epoch ms).

    What is read long after it was sent is not confirmed: its sender may have been ahead of its
    time, and nobody knows any more.
    """
    return now_ms - LIVE_MS <= time_ms <= now_ms + ahead_ms


def _head(newest: Iterable[tuple[int, str]], confirmed_ms: int) -> Head:
    first = second = (0, "")
    for one in newest:
        if one > first:
            first, second = one, first
        elif one > second:
            second = one
    return Head(confirmed_ms, first, second)
