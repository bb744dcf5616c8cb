"""Puts a bundle together: the files of a run, its model card and its manifest."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.bundle import ACTIVE, CALIBRATION, CARD, ENCODER, HEAD, load_bundle, write_manifest
from models.observation import EXPRESSIONS
from models.wheels import ASSETS
from training import rafdb
from training.card import card
from training.config import Config
from training.errors import RunError
from training.evaluation import evaluate
from training.export import feature_count

__all__ = ["write_bundle"]

IMAGENET_PICTURES = 1_281_167  # training split of ImageNet-1k, Russakovsky et al. 2015


def write_bundle(
    config: Config,
    run: Path,
    out: Path,
    *,
    data: Path,
    trained_on: int,
    validation: dict[str, Any],
) -> dict[str, Any]:
    """Write the bundle, measure it on the test split, and make it the active one.

    The test split is read here, once, when nothing is left to choose. The metrics are those of
    the files as they are written.

    Args:
        config: the settings of the run.
        run: its folder, with encoder, head and calibration.
        out: the new folder, which does not exist yet; its name is the version, its parent holds
            `ACTIVE`.
        data: RAF-DB's tar file.
        trained_on: number of faces that were learnt from.
        validation: metrics on the faces that chose.

    Returns:
        The metrics on the test split.

    Raises:
        RunError: a stage is missing.
    """
    missing = [name for name in (ENCODER, HEAD, CALIBRATION) if not (run / name).is_file()]
    if missing:
        raise RunError(f"{run}: {', '.join(missing)} is missing; run the stages before this one")
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name in (ENCODER, HEAD, CALIBRATION):
        shutil.copyfile(run / name, part / name)
    fields: dict[str, Any] = {
        "name": "face",
        "version": out.name,
        "created": datetime.now(UTC).replace(microsecond=0),
        "architecture": config.network.architecture,
        "classes": EXPRESSIONS,
        "input_size": config.network.input_size,
        "feature_count": feature_count(part / ENCODER),
        "training_data": _training_data(config, trained_on),
    }
    # A bundle is measured as it is loaded, so it needs a manifest before it has metrics.
    (part / CARD).write_text("to be written\n", encoding="utf-8")
    write_manifest(part, **fields, metrics={})
    test = evaluate(part, data)
    fields["metrics"] = {"validation": validation, "test": test}
    (part / CARD).write_text(card(config, fields), encoding="utf-8")
    write_manifest(part, **fields)
    load_bundle(part)
    part.replace(out)
    (out.parent / ACTIVE).write_text(f"{out.name}\n", encoding="utf-8")
    return test


def _training_data(config: Config, trained_on: int) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = [
        {"name": rafdb.NAME, "split": "train", "items": trained_on, "terms": rafdb.TERMS},
    ]
    if config.network.weights != "none":
        asset = ASSETS[config.network.weights]
        entries.append(
            {
                "name": f"ImageNet-1k, through the weights of {asset.wheel.requirement}",
                "split": "train",
                "items": IMAGENET_PICTURES,
                "terms": f"weights: {asset.licence}",
            }
        )
    return entries
