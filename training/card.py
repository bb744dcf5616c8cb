"""Writes the model card of a bundle from what was measured."""

import json
from collections.abc import Mapping
from typing import Any

from models.observation import EXPRESSIONS
from training.config import Config

__all__ = ["card"]

TEMPLATE = """# Face bundle {version}

Reads the expression of an aligned face: one of {classes}.

- **Encoder**: `{architecture}` at {size}x{size} pixels, fine-tuned as a whole; {features} features.
  Input is RGB, (pixel - 127.5) / 127.5.
- **Head**: XGBoost on these features, {rounds} rounds of {per_round} trees.
- **Calibration**: temperature {temperature}, `softmax(log(p) / {temperature})`.
- **Made with**: `python -m training run` and the settings at the end of this page.

## Data and terms

{data}

The research data are not part of this project. Their terms bind whoever trains on them; whether and
how weights that were trained on them may be used commercially is for the user to clear. Of the
training data of {target}, {held} faces were held out to choose the epoch, the head and the
temperature; the test splits chose nothing. Faces whose pixels also stand in a test split were not
learnt from.{remark}

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
        v_accuracy=validation["accuracy"],
        v_balanced=validation["balanced_accuracy"],
        v_before=validation["ece_before"],
        v_ece=validation["ece"],
        confusion=_confusion(test["confusion"], test["recall"]),
        also=_also(metrics.get("also", {})),
        photographs=_photographs(metrics.get("photographs")),
        cost=_cost(metrics.get("cost")),
        weakest=weakest,
        recall=test["recall"][weakest],
        settings=json.dumps(config.model_dump(mode="json"), indent=2),
        **{name: test[name] for name in ("n", "accuracy", "balanced_accuracy", "macro_f1", "ece")},
    )


def _also(others: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a section on the other data sets, or nothing."""
    rows = []
    for name, found in others.items():
        parts = {f"{name}, test split": found}
        if "without_training_duplicates" in found:
            parts[f"{name}, without duplicates of its training split"] = found[
                "without_training_duplicates"
            ]
        rows += [
            f"| {title} | {part['n']} | {part['accuracy']:.4f} | {part['balanced_accuracy']:.4f} "
            f"| {part['macro_f1']:.4f} | {part['ece']:.4f} |"
            for title, part in parts.items()
            if "accuracy" in part
        ]
    if not rows:
        return ""
    head = "| data | faces | accuracy | balanced accuracy | macro F1 | calibration error |"
    lines = ["", "## Measured on other data", "", head, "|---|---|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _photographs(found: Mapping[str, Any] | None) -> str:
    """Return a section on whole photographs, or nothing."""
    if not found:
        return ""
    all_photos, report = found["detection"], found["report"]
    widths = "; ".join(
        f"{width} px {part['recall']:.3f} of {part['n']}"
        for width, part in all_photos["recall_by_width"].items()
        if part["n"]
    )
    agreement = report["noisy_label_agreement"]
    lines = [
        "",
        "## Measured on whole photographs",
        "",
        "`python -m training evaluate --bundle models/face --data PHOTOGRAPHS --json`: of "
        f"{all_photos['n_faces']} labelled faces in {all_photos['n_photos']} photographs, "
        f"{all_photos['recall']:.3f} are found (overlap of at least {all_photos['least_iou']}). By "
        f"width of the face: {widths}.",
    ]
    if agreement["n"]:
        lines += [
            "",
            f"Their labels are too noisy for a score. They agree with {agreement['n']} faces of "
            f"one half in {agreement['aligned']['accuracy']:.3f} of the cases when these are "
            f"aligned by landmarks, and in {agreement['box']['accuracy']:.3f} when the plain box "
            "is cut out.",
        ]
    return "\n".join([*lines, ""])


def _cost(found: Mapping[str, Any] | None) -> str:
    """Return a section on the time of a face, or nothing."""
    if not found:
        return ""
    return (
        "\n## Cost\n\n"
        "`python -m training.cost --bundle models/face`: one face through encoder and head takes "
        f"{found['ratio']:.2f} of the time of EfficientNet-B0 at 224x224 on one thread, both in "
        f"ONNX Runtime and measured in turns ({found['ratio_of_medians_8']:.2f} for eight "
        "together).\n"
    )


def _confusion(rows: list[list[int]], recall: Mapping[str, float]) -> str:
    lines = [f"| | {' | '.join(EXPRESSIONS)} | recall |", "|---" * (len(EXPRESSIONS) + 2) + "|"]
    for name, row in zip(EXPRESSIONS, rows, strict=True):
        lines.append(f"| {name} | {' | '.join(map(str, row))} | {recall[name]:.4f} |")
    return "\n".join(lines)
