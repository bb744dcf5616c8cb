"""Writes the model card of a bundle from what was measured."""

import json
from collections.abc import Mapping
from typing import Any

from models.observation import EXPRESSIONS
from training.config import Config
from training.elsewhere import MEASURES, Elsewhere
from training.reporting.refit import changes

__all__ = ["card", "confusion"]

TEMPLATE = """# Face bundle {version}

Reads the expression of an aligned face: one of {classes}.

- **Encoder**: `{architecture}` at {size}x{size} pixels, fine-tuned as a whole; {features} features.
  Input is RGB, (pixel - 127.5) / 127.5.
- **Head**: XGBoost on these features, {rounds} rounds of {per_round} trees.
- **Calibration**: temperature {temperature}, `softmax(log(p) / {temperature})`.
- **Made with**: `python -m training run` and the settings at the end of this page{then}.

## Data and terms

{data}

The research data are not part of this project. Their terms bind whoever trains on them; whether and
how weights that were trained on them may be used commercially is for the user to clear. Of the
training data of {target}, {held} faces were held out to choose the epoch, the head and the
temperature; the test splits chose nothing. Faces whose pixels also stand in a test split were not
learnt from.{remark}
{refitted}
## Measured on the test split of {target}

`python -m training evaluate --bundle models/face --data DATA --json` measures it again, from the
committed files.

| faces | accuracy | balanced accuracy | macro F1 | calibration error (15 bins) |
|---|---|---|---|---|
| {n} | {accuracy:.4f} | {balanced_accuracy:.4f} | {macro_f1:.4f} | {ece:.4f} |

On the held-out faces: accuracy {v_accuracy:.4f}, balanced accuracy {v_balanced:.4f}; calibration
error {v_before:.4f} before and {v_ece:.4f} after calibration, which was fitted on these same faces.

Rows are the true expression, columns the predicted one:

{confusion}
{also}{photographs}{cost}
## Limits

- It reads an **expressed** emotion, the look of a face in one moment, not what a person feels.
- It errs, and most where the training data have little: here on {weakest}, of which it finds
  {recall:.0%}.
- It differs between groups of people. The training pictures come from the web, do not represent all
  ages, skin tones and cultures, and were labelled by people with their own expectations. How large
  the differences are has not been measured for this bundle.
- It was trained on upright faces, aligned by five landmarks. Profiles, masks, hands in front of the
  face and faces of few pixels lie outside of that.
- Frames of one camera resemble each other: errors repeat and do not average out.

## Use

For aggregates that the people concerned know of, not for decisions about single persons. In the EU,
the AI Act forbids inferring the emotions of people at work and in education, except for medical or
safety reasons (Art. 5(1)(f)), and obliges to inform people who are exposed to emotion recognition
(Art. 50(3)).

## Settings

```json
{settings}
```
"""


def card(config: Config, manifest: Mapping[str, Any]) -> str:
    """Return the card as Markdown.

    Args:
        config: the settings of the run.
        manifest: the fields of the manifest, with the metrics on `validation` and `test`, and those
            on other data in `also`.
    """
    metrics = manifest["metrics"]
    test, validation = metrics["test"], metrics["validation"]
    found = Elsewhere.model_validate(metrics)
    refitted = metrics.get("refitted")
    weakest = min(test["recall"], key=test["recall"].__getitem__)
    return TEMPLATE.format(
        version=manifest["version"],
        classes=", ".join(EXPRESSIONS),
        architecture=manifest["architecture"],
        size=manifest["input_size"],
        features=manifest["feature_count"],
        rounds=validation["rounds"],
        per_round=len(EXPRESSIONS),
        temperature=validation["temperature"],
        data="\n".join(
            f"- {entry['name']}, {entry['split']} split, {entry['items']:,} pictures: "
            f"{entry['terms']}"
            for entry in manifest["training_data"]
        ),
        target=manifest["training_data"][0]["name"],
        held=validation["n"],
        remark=config.export.remark and f" {config.export.remark}",
        then="; then `python -m training heads --feedback FILE`" if refitted else "",
        refitted=_refitted(refitted),
        v_accuracy=validation["accuracy"],
        v_balanced=validation["balanced_accuracy"],
        v_before=validation["ece_before"],
        v_ece=validation["ece"],
        confusion=confusion(test["confusion"], test["recall"]),
        also=_also(found),
        photographs=_photographs(found),
        cost=_cost(found),
        weakest=weakest,
        recall=test["recall"][weakest],
        settings=json.dumps(config.model_dump(mode="json"), indent=2),
        **{name: test[name] for name in ("n", "accuracy", "balanced_accuracy", "macro_f1", "ece")},
    )


def _refitted(result: Mapping[str, Any] | None) -> str:
    """Return a section on the corrections that the head was refitted with, or nothing."""
    if not result:
        return ""
    told = result["feedback"]
    said = (
        f"Head and calibration were fitted again on the same data and {told['learnt_from']} "
        f"corrections by people of what face/{', face/'.join(told['bundles'])} had said, each "
        f"counted as {result['weight']:g} of the original faces; {told['held_out']} more were held "
        f"out (file with SHA-256 {told['sha256']})."
    )
    return "\n".join(["", "## Refitted with corrections", "", said, "", *changes(result), ""])


def _also(found: Elsewhere) -> str:
    """Return a section on the other data sets, or nothing."""
    if not found.also:
        return ""
    rows = [
        f"| {title} | {n} | {' | '.join(f'{share:.4f}' for share in shares)} |"
        for title, n, *shares in found.rows()
    ]
    columns = ["data", *MEASURES]
    head = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return "\n".join(["", "## Measured on other data", "", *head, *rows, ""])


def _photographs(found: Elsewhere) -> str:
    """Return a section on whole photographs, or nothing."""
    if not found.photographs:
        return ""
    command = "`python -m training evaluate --bundle models/face --data PHOTOGRAPHS --json`:"
    parts = ["## Measured on whole photographs", command, *found.photographs.paragraphs()]
    return "\n" + "\n\n".join(parts) + "\n"


def _cost(found: Elsewhere) -> str:
    """Return a section on the time of a face, or nothing."""
    if not found.cost:
        return ""
    command = "`python -m training.cost --bundle models/face`"
    return f"\n## Cost\n\n{command}: {found.cost.sentence()}\n"


def confusion(rows: list[list[int]], recall: Mapping[str, float]) -> str:
    """Return a confusion matrix [true, called] with the recall of each class as a table."""
    lines = [f"| | {' | '.join(recall)} | recall |", "|---" * (len(recall) + 2) + "|"]
    for name, row in zip(recall, rows, strict=True):
        lines.append(f"| {name} | {' | '.join(map(str, row))} | {recall[name]:.4f} |")
    return "\n".join(lines)
