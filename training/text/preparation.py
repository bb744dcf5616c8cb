"""Reads the splits of a run on texts, and tells what was found in them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.observation import SENTIMENTS
from training.errors import DataError
from training.reporting.files import replace
from training.text.config import TextConfig
from training.text.tweets import Texts, read_split, without_known

__all__ = ["Prepared", "prepare", "write_account"]

ACCOUNT = "data.json"


@dataclass(frozen=True)
class Prepared:
    """The texts of a run.

    Attributes:
        train: to learn from; none that also stands in validation or test.
        validation: to choose by.
        fingerprints: SHA-256 of texts and labels, by the name of the data set.
        account: what was found, for the report, in the form of `training.preparation`.
    """

    train: Texts
    validation: Texts
    fingerprints: dict[str, str]
    account: dict[str, Any]

    @property
    def line(self) -> str:
        """What was found, for the user."""
        (source,) = self.account["sources"]
        classes = ", ".join(f"{name} {count}" for name, count in self.train.counts.items())
        return (
            f"{source['name']}: {classes} to learn from; {source['duplicates_removed']} removed "
            "that also stand in validation or test"
        )


def prepare(config: TextConfig, root: Path) -> Prepared:
    """Read the splits; of the test split nothing is used but which texts are in it.

    Raises:
        DataError: a split cannot be read, or no text of a class is left to learn from.
    """
    data = config.data
    train, validation, test = (
        read_split(data, config.cleaning, root, split) for split in ("train", "val", "test")
    )
    learnt = without_known(train, [validation, test])
    if missing := [name for name, count in learnt.counts.items() if not count]:
        raise DataError(
            f"{data.name}: every training text of {', '.join(missing)} also stands in validation "
            "or test"
        )
    splits = {"train": learnt, "validation": validation, "test": test}
    source = {
        "name": data.name,
        "format": data.format,
        "terms": data.terms,
        "split_rows": {name: len(texts) for name, texts in {**splits, "train": train}.items()},
        "learnt_from": len(learnt),
        "classes": {name: [train.counts[name], name] for name in SENTIMENTS},
        "left_out": train.dropped + validation.dropped + test.dropped,
        "duplicates_removed": len(train) - len(learnt),
        "sha256": train.sha256,
    }
    account = {
        "sources": [source],
        "classes": {name: texts.counts for name, texts in splits.items()},
    }
    hashes = {f"{data.name}, {name}": texts.sha256 for name, texts in splits.items()}
    return Prepared(learnt, validation, hashes, account)


def write_account(prepared: Prepared, run: Path) -> None:
    """Write `data.json` into the run."""
    text = json.dumps(prepared.account, indent=2, ensure_ascii=False)
    replace(run / ACCOUNT, text + "\n")
