"""What a time range is drawn with: the panes that are read, and the steps of its charts.

Every range has about as many points as a chart has pixels to tell them apart, and 30 columns
wherever counts are summed, so that nothing changes its shape when the range does.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["COLUMNS", "DEFAULT_RANGE_S", "SCALES", "Scale"]

COLUMNS: Final = 30  # of the expression mix, the sentiment shares and the heatmap
DEFAULT_RANGE_S: Final = 300


class Scale(NamedTuple):
    """How a range is drawn; all in seconds.

    Attributes:
        range_s: the range.
        resolution_s: buckets of the panes that are read, one of those in Redis.
        step_s: distance between two points of a line.
        rolling_s: width of the rolling mean.
        bucket_s: width of a column.
        heat_resolution_s: as `resolution_s`, for the heatmap, which reads many sources at once.
    """

    range_s: int
    resolution_s: int
    step_s: int
    rolling_s: int
    bucket_s: int
    heat_resolution_s: int

    @classmethod
    def of(cls, range_s: int, resolution_s: int, step_s: int, rolling_s: int) -> Scale:
        """Return a scale; its columns are a thirtieth of the range."""
        bucket_s = range_s // COLUMNS
        coarse = next(size for size in (60, 10, 1) if bucket_s % size == 0)
        return cls(range_s, resolution_s, step_s, rolling_s, bucket_s, coarse)


SCALES: Final = {
    scale.range_s: scale
    for scale in (
        Scale.of(60, 1, 1, 10),
        Scale.of(300, 1, 1, 10),
        Scale.of(900, 1, 1, 10),
        Scale.of(3600, 1, 5, 10),
        Scale.of(6 * 3600, 10, 30, 60),
        Scale.of(24 * 3600, 60, 120, 300),
        Scale.of(7 * 24 * 3600, 60, 900, 3600),
    )
}
