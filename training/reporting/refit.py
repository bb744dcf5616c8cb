"""What corrections changed, as tables in Markdown for a report, a model card and the console."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["as_markdown", "changes"]

PARTS: Final = {
    "held_out": "corrections that were held out",
    "validation": "validation",
    "test": "test split",
}
MEASURES: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "ece": "calibration error",
}


def as_markdown(result: Mapping[str, Any]) -> str:
    """Return the report of `training.refitting.refit`; a refused one has no figures of the test."""
    told, weight = result["feedback"], result["weight"]
    labels = ", ".join(f"{name} {count}" for name, count in told["labels"].items())
    lines = [
        "# Head refitted with corrections",
        "",
        f"{told['corrections']} corrections in {told['file']} (SHA-256 {told['sha256']}), after "
        f"{told['replaced']} that were replaced by newer ones: {labels}. Predictions were those of "
        f"face/{', face/'.join(told['bundles'])}. {told['learnt_from']} were learnt from; "
        f"{told['held_out']}, in stretches of time of their own, were held out.",
        "",
        "## Weight of a correction, in faces of the original data",
        "",
        "Chosen by corrections that a fit took no part in, among the weights that lose little on "
        "validation.",
        "",
        "| weight | accuracy on corrections left out | accuracy on validation | |",
        "|---|---|---|---|",
        *(
            f"| {one['weight']:g} | {one['corrections']:.4f} | {one['validation']:.4f} | "
            f"{'chosen' if one['weight'] == weight else ''} |"
            for one in result["tried"]
        ),
        "",
        "## Before and after",
        "",
        *changes(result),
        "",
    ]
    if result["refused"]:
        lines += ["Too much is lost on validation: this head is refused.", ""]
    if result["forced"]:
        lines += ["Too much is lost on validation: this head was taken with `--force`.", ""]
    return "\n".join(lines)


def changes(result: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table of what was measured before and after."""
    head = ["rows", "n", *(f"{name}, before → after" for name in MEASURES.values())]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for part, title in PARTS.items():
        if part not in result:
            continue
        before, after = result[part]["before"], result[part]["after"]
        cells = [f"{before[name]:.4f} → {after[name]:.4f}" for name in MEASURES]
        lines.append(f"| {title} | {before['n']} | {' | '.join(cells)} |")
    return lines
