"""Writes the model card of a text bundle from what was measured."""

import json
from collections.abc import Mapping
from typing import Any, Final

from models.observation import SENTIMENTS
from training.card import confusion
from training.text.config import TextConfig

__all__ = ["card"]

TEMPLATE: Final = """# Text bundle {version}

Reads the sentiment that a short English text expresses: one of {classes}.

- **Cleaning**: HTML entities, Unicode NFKC, links as `http`, user names as `@user`, emoji
  {emoji}, hashtags as the words in them, repeated letters shortened; at most {characters}
  characters and {tokens} word pieces.
{how}
- **Calibration**: temperature {temperature}, `softmax(log(p) / {temperature})`.
- **Size**: encoder {megabytes:.1f} MB.
- **Made with**: `python -m training {command} --config FILE` and the settings at the end of this
  page.

## Data and terms

{data}

The texts are not part of this project, and none of them is in this bundle or on this page. Their
terms bind whoever trains on them; whether and how weights that were trained on them may be used
commercially is for the user to clear. {held:,} texts of the validation split chose
{chosen}; the test split chose nothing. Texts that also stand in validation or test were not learnt
from.{remark}

## Measured on the test split

`python -m training evaluate --bundle models/text/{version} --data DATA --json` measures it again,
from the committed files. Macro recall, the mean of the recalls of the three classes, is the measure
of TweetEval; it is called balanced accuracy elsewhere on this page.

| texts | macro recall | accuracy | macro F1 | calibration error (15 bins) |
|---|---|---|---|---|
| {n:,} | {balanced_accuracy:.4f} | {accuracy:.4f} | {macro_f1:.4f} | {ece:.4f} |

On the validation texts: macro recall {v_balanced:.4f}, accuracy {v_accuracy:.4f}; calibration error
{v_before:.4f} before and {v_ece:.4f} after calibration, which was fitted on these same texts.

Rows are the true class, columns the predicted one:

{confusion}

By groups, which also differ in their mix of classes:

{groups}
{comparison}
## Limits

- It was trained on English tweets. Other languages are scored and flagged as foreign; what it says
  of them is worth little.
- It reads what a text **expresses**, not what its author feels or means. Irony, quotation, reported
  speech and jokes of a group are often read wrongly.
- It errs most on {weakest} texts, of which it finds {recall:.0%}.
- What is said *about* a group, a person or a topic carries the associations of the training texts
  with it: a neutral sentence may be called negative for a name in it. How large that is has not
  been measured for this bundle.
- Longer texts are cut. A long text with a turn at its end is judged by its beginning.
- Labels of such texts come from people who often disagree; scores far above those given here should
  not be expected of any model on these data.

## Use

For aggregates over many texts of consenting or public sources, as the mood of a channel or the
answer to an announcement. Not for decisions about single persons, for moderation without a person
who looks, for inferring health, opinion, faith or the like of an author, and not for the
surveillance of people at work or in education.

## Settings

```json
{settings}
```
"""
ENCODER_AND_HEAD: Final = """- **Encoder**: `{architecture}`, fine-tuned as a whole; {features}
  features, the last three of which are the logits of its own classifier. Each text
  is run alone, so that its result depends on nothing else.
- **Head**: XGBoost on these features, {rounds} rounds of 3 trees."""
LINEAR: Final = """- **Encoder**: {architecture} (C {regularisation}); a row of a table for every
  piece and pair, added up. There are no trees: a softmax of its three sums is the result."""
COMMANDS: Final = {"xgboost": "run", "softmax": "light"}


def card(config: TextConfig, manifest: Mapping[str, Any]) -> str:
    """Return the card as Markdown.

    Args:
        config: the settings of the run.
        manifest: the fields of the manifest, with the metrics on `validation` and `test`.
    """
    metrics, head = manifest["metrics"], manifest["head"]
    test, validation = metrics["test"], metrics["validation"]
    weakest = min(test["recall"], key=test["recall"].__getitem__)
    if head == "xgboost":
        chosen = "the epoch, the number format, the head and the temperature"
        remark = config.export.remark
        how = ENCODER_AND_HEAD.format(
            architecture=manifest["architecture"],
            features=manifest["feature_count"],
            rounds=validation["rounds"],
        )
    else:
        chosen, remark = "the regularisation and the temperature", config.light.remark
        how = LINEAR.format(
            architecture=manifest["architecture"], regularisation=validation["regularisation"]
        )
    return TEMPLATE.format(
        version=manifest["version"],
        classes=", ".join(SENTIMENTS),
        emoji="by their English names" if config.cleaning.emoji == "named" else "kept",
        characters=config.cleaning.max_characters,
        tokens=config.network.max_tokens,
        how=how,
        temperature=validation["temperature"],
        megabytes=metrics["encoder_bytes"] / 1e6,
        command=COMMANDS[head],
        data="\n".join(
            f"- {entry['name']}, {entry['split']} split, {entry['items']:,} texts: {entry['terms']}"
            for entry in manifest["training_data"]
        ),
        held=validation["n"],
        chosen=chosen,
        remark=remark and f" {remark}",
        v_accuracy=validation["accuracy"],
        v_balanced=validation["balanced_accuracy"],
        v_before=validation["ece_before"],
        v_ece=validation["ece"],
        confusion=confusion(test["confusion"], test["recall"]),
        groups=_groups(test["groups"]),
        comparison=_comparison(metrics.get("classical")),
        weakest=weakest,
        recall=test["recall"][weakest],
        settings=json.dumps(config.model_dump(mode="json"), indent=2),
        **{name: test[name] for name in ("n", "accuracy", "balanced_accuracy", "macro_f1", "ece")},
    )


def _groups(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    lines = ["| by | group | texts | macro recall | accuracy |", "|---|---|---|---|---|"]
    for by, groups in found.items():
        for name, measured in groups.items():
            lines.append(
                f"| {by} | {name} | {measured['n']:,} | {measured['balanced_accuracy']:.4f} | "
                f"{measured['accuracy']:.4f} |"
            )
    return "\n".join(lines)


def _comparison(found: str | None) -> str:
    """Return a section on the models without a Transformer, or nothing."""
    return f"\n## Compared with classical models\n\n{found}\n" if found else ""
