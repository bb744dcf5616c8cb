"""Writes the model card of a bundle from what was measured."""

from collections.abc import Mapping
from typing import Any

from models.observation import EXPRESSIONS
from training.config import Config

__all__ = ["card"]

TEMPLATE = """# Face bundle {version}

Reads the expression of an aligned face: one of {classes}.

- **Encoder**: `{architecture}` at {size}x{size} pixels, fine-tuned as a whole; {features} pooled
  features. Input is RGB, (pixel - 127.5) / 127.5.
- **Head**: XGBoost on these features, {rounds} rounds of {per_round} trees of depth {depth}.
- **Calibration**: temperature {temperature}, `softmax(log(p) / {temperature})`.
- **Made with**: `python -m training face` and the settings in `training/face.toml`, seed {seed}.

## Data and terms

{data}

The research data are not part of this project. Their terms bind whoever trains on them; whether and
how weights that were trained on them may be used commercially is for the user to clear. Of RAF-DB's
training split, {held} faces were held out to choose the epoch, the number of rounds and the
temperature; the test split was read once, after that.

## Measured on RAF-DB's test split

`python -m training evaluate --bundle models/face --data rafdb.tar --json` measures it again.

| faces | accuracy | balanced accuracy | macro F1 | calibration error (15 bins) |
|---|---|---|---|---|
| {n} | {accuracy:.4f} | {balanced_accuracy:.4f} | {macro_f1:.4f} | {ece:.4f} |

On the held-out faces: accuracy {v_accuracy:.4f}; calibration error {v_before:.4f} before and
{v_ece:.4f} after calibration, which was fitted on these same faces.

Rows are the true expression, columns the predicted one:

{confusion}

## Limits

- It reads an **expressed** emotion, the look of a face in one moment, not what a person feels.
- It errs, and most where the training data have little: see the recall of fear and disgust.
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
"""


def card(config: Config, manifest: Mapping[str, Any]) -> str:
    """Return the card as Markdown.

    Args:
        config: the settings of the run.
        manifest: the fields of the manifest, with the metrics on `validation` and `test`.
    """
    test, validation = manifest["metrics"]["test"], manifest["metrics"]["validation"]
    return TEMPLATE.format(
        version=manifest["version"],
        classes=", ".join(EXPRESSIONS),
        architecture=manifest["architecture"],
        size=manifest["input_size"],
        features=manifest["feature_count"],
        rounds=validation["rounds"],
        per_round=len(EXPRESSIONS),
        depth=config.head.depth,
        temperature=validation["temperature"],
        seed=config.data.seed,
        data="\n".join(
            f"- {entry['name']}, {entry['split']} split, {entry['items']:,} pictures: "
            f"{entry['terms']}"
            for entry in manifest["training_data"]
        ),
        held=validation["n"],
        v_accuracy=validation["accuracy"],
        v_before=validation["ece_before"],
        v_ece=validation["ece"],
        confusion=_confusion(test["confusion"], test["recall"]),
        **{name: test[name] for name in ("n", "accuracy", "balanced_accuracy", "macro_f1", "ece")},
    )


def _confusion(rows: list[list[int]], recall: Mapping[str, float]) -> str:
    lines = [f"| | {' | '.join(EXPRESSIONS)} | recall |", "|---" * (len(EXPRESSIONS) + 2) + "|"]
    for name, row in zip(EXPRESSIONS, rows, strict=True):
        lines.append(f"| {name} | {' | '.join(map(str, row))} | {recall[name]:.4f} |")
    return "\n".join(lines)
