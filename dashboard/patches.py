"""The difference of two figures as a small `Patch`: drop at the front, correct, append.

Sending the whole hour again for one new second would cost a hundred times as much. Unlike
`extendData`, a patch also moves points that late data has corrected, and never repeats one.
"""

from __future__ import annotations

from typing import Any, Final

from dash import Patch

from dashboard.charts.parts import Figure

__all__ = ["figure_patch"]

# Above this many operations on one trace its lists are sent whole: cheaper to apply and to send.
MOST_OPERATIONS: Final = 40
MOST_CELLS: Final = 200  # of a heatmap


def figure_patch(old: Figure, new: Figure) -> Patch | None:
    """Return what turns the data of `old` into that of `new`, `None` when they are equal.

    Both must have the same traces with the same lists; everything else is left alone.
    """
    patch = Patch()
    changed = False
    for index, (before, after) in enumerate(zip(old["data"], new["data"], strict=True)):
        names = [name for name, value in after.items() if isinstance(value, list)]
        if all(before[name] == after[name] for name in names):
            continue
        changed = True
        write = _patch_cells if after.get("type") == "heatmap" else _patch_trace
        if not write(patch["data"][index], before, after, names):
            for name in names:
                patch["data"][index][name] = after[name]
    return patch if changed else None


def _patch_trace(
    patch: Patch, before: dict[str, Any], after: dict[str, Any], names: list[str]
) -> bool:
    """Write the difference of one trace into `patch`; return False when it would be too long."""
    old_x, new_x = before["x"], after["x"]
    if not new_x or new_x[0] not in old_x:
        return False
    drop = old_x.index(new_x[0])
    kept = len(old_x) - drop
    if new_x[:kept] != old_x[drop:]:
        return False
    corrected = [
        (name, place)
        for name in names
        for place in range(kept)
        if after[name][place] != before[name][drop + place]
    ]
    if len(corrected) + drop * len(names) > MOST_OPERATIONS:
        return False
    for name in names:
        for _ in range(drop):
            del patch[name][0]
    for name, place in corrected:
        patch[name][place] = after[name][place]
    if len(new_x) > kept:
        for name in names:
            patch[name].extend(after[name][kept:])
    return True


def _patch_cells(
    patch: Patch, before: dict[str, Any], after: dict[str, Any], names: list[str]
) -> bool:
    """Write the changed cells of a heatmap into `patch`; return False when they are too many."""
    if before["x"] != after["x"] or before["y"] != after["y"]:
        return False
    cells = [
        (name, row, column, value)
        for name in names
        if name not in ("x", "y")
        for row, (old, new) in enumerate(zip(before[name], after[name], strict=True))
        if old != new
        for column, value in enumerate(new)
        if old[column] != value
    ]
    if len(cells) > MOST_CELLS:
        return False
    for name, row, column, value in cells:
        patch[name][row][column] = value
    return True
