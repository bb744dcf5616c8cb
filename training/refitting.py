"""Refits the head of a finished run with corrections by people, and says what that changed.

The run is only read (its cache of features may grow); results go into a folder of their own.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import xgboost
from numpy.typing import NDArray

from models.bundle import CALIBRATION, ENCODER, HEAD, Calibration, load_bundle
from models.head import Head, calibrate
from models.observation import EXPRESSIONS
from training import config as configuration
from training.config import Config
from training.corrections import Corrected, check_encoder, read_corrections
from training.errors import RunError
from training.export import feature_count, open_encoder
from training.features import cached_features
from training.heads.refit import FOLDS, LARGEST_LOSS, Labelled, Refit, choose
from training.metrics import report
from training.packaging import write_bundle
from training.preparation import Prepared, prepare, read_split
from training.progress import Progress
from training.reporting.files import replace
from training.reporting.refit import as_markdown
from training.stages import FEATURES, VALIDATION, check_out
from training.text.config import is_text
from training.variants import shipped_encoder
from training.views import copies

__all__ = ["FEEDBACK", "refit"]

FEEDBACK: Final = "feedback"  # the folder of refits in a run
DIGEST_DIGITS: Final = 12  # of the corrections' SHA-256 in the name of a refit's folder
SHORT: Final = ("n", "accuracy", "balanced_accuracy", "macro_f1", "ece")


class _Opened(NamedTuple):
    """What is known of a run before its data are read."""

    folder: Path
    config: Config
    params: dict[str, Any]
    encoder: Path


def refit(
    run: Path,
    feedback: Path,
    root: Path,
    say: Callable[[str], None],
    *,
    bundles: Path = Path("models"),
    out: Path | None = None,
    activate: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Refit the head of a run on faces, and write `report.json` and `report.md` of it.

    The weight of the corrections is chosen on validation and on corrections left out in folds.
    Then the head is fitted once more, must not lose more than `LARGEST_LOSS` of accuracy on
    validation, and only after that is it measured on the test split and on the corrections that
    were held out from the beginning.

    Args:
        run: a finished run, with its settings and head.
        feedback: the file of `sentistream feedback export`.
        root: the folder that the paths of the data sets are relative to.
        say: takes lines for the user.
        bundles: the folder with the bundles that the corrections are about.
        out: the folder of the new version, if one is wanted.
        activate: name it in `ACTIVE`.
        force: go on although too much is lost on validation.

    Returns:
        The content of `report.json`.

    Raises:
        BundleError: a bundle that the corrections are about is not there, or was changed.
        ConfigError: the data are not those of the run.
        DataError: the corrections do not fit the run.
        RunError: the run is not finished, `out` exists, or too much is lost on validation.
    """
    opened = _open(run)
    if out is not None:
        check_out(out)
    corrected = read_corrections(feedback, feature_count(opened.encoder))
    check_encoder(corrected.versions, bundles, opened.encoder)
    data = prepare(opened.config, root)
    configuration.keep_with_run(opened.config, data.fingerprints, run)
    shipped = open_encoder(opened.encoder, opened.config.network.input_size)

    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return cached_features(shipped, opened.encoder, images, run / FEATURES, Progress())

    validation = Labelled(features(data.validation.images), data.validation.labels)
    before = _measured(run, validation)
    fitter = _fitter(opened, data, validation)
    learnt = _rows(corrected, ~corrected.held)
    tried = fitter.try_weights(learnt, corrected.folds(FOLDS), before["accuracy"])
    chosen = choose(tried, before["accuracy"])
    folder = run / FEEDBACK / corrected.sha256[:DIGEST_DIGITS]
    folder.mkdir(parents=True, exist_ok=True)
    metrics = fitter.fit(learnt, chosen.weight, folder)
    after = _measured(folder, validation)
    lost = round(before["accuracy"] - after["accuracy"], 6)  # both have four digits
    result: dict[str, Any] = {
        "run": str(run),
        "feedback": _account(corrected, feedback),
        "weight": chosen.weight,
        "tried": [one._asdict() for one in tried],
        "validation": {"before": before, "after": after},
        "refused": lost > LARGEST_LOSS and not force,
        "forced": lost > LARGEST_LOSS and force,
    }
    if result["refused"]:
        _write(folder, result, say)
        raise RunError(
            f"the refitted head loses {lost * 100:.2f} points of accuracy on validation "
            f"({before['accuracy']:.4f} before, {after['accuracy']:.4f} after); allowed are "
            f"{LARGEST_LOSS * 100:.1f}. Look at the corrections, or take it with --force"
        )
    # Nothing is chosen any more: now the rows may be seen that have chosen nothing.
    side = opened.config.network.input_size
    faces = read_split(opened.config.data.sources[0], root, "test", side=side)
    test = Labelled(features(faces.images), faces.labels)
    for name, rows in {"held_out": _rows(corrected, corrected.held), "test": test}.items():
        result[name] = {"before": _measured(run, rows), "after": _measured(folder, rows)}
    if out is not None:
        version = out.name
        write_bundle(
            opened.config,
            run,
            out,
            data=data,
            measure=lambda part: {
                "validation": metrics,
                "test": {"bundle": version, "split": "test", **_loaded(part, test)},
                "refitted": _short(result),
            },
            activate=activate,
            head=folder,
            corrections=len(learnt.labels),
        )
        say(f"wrote {out}")
    _write(folder, result, say)
    return result


def _open(run: Path) -> _Opened:
    """Read what a finished run says of itself."""
    settings = run / "settings.toml"
    if not settings.is_file() or not (run / configuration.CONFIG_FILE).is_file():
        raise RunError(f"{run} is no folder of a run; give one with --run, such as runs/face")
    if is_text(settings):
        raise RunError(f"{run} is a run on texts; only heads of faces can be refitted so far")
    config = configuration.load(settings)
    try:
        kept = json.loads((run / VALIDATION).read_text(encoding="utf-8"))
        same = kept["settings"] == config.head.model_dump(mode="json")
        params: dict[str, Any] = kept["metrics"]["params"]
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{run} has no head yet; run `python -m training heads` first") from error
    encoder = shipped_encoder(run)
    missing = [name for name in (HEAD, CALIBRATION, ENCODER) if not (run / name).is_file()]
    if missing or not same:
        why = f"{', '.join(missing)} is missing" if missing else "its settings have changed since"
        raise RunError(f"{run}: the head cannot be used, {why}; run `python -m training heads`")
    return _Opened(run, config, params, encoder)


def _fitter(opened: _Opened, data: Prepared, validation: Labelled) -> Refit:
    """Return the refit on the features that the run's head was fitted on, from its cache."""
    config, target = opened.config, data.target
    path = opened.folder / ENCODER  # in fp32: the head was fitted before a smaller one was chosen
    encoder = open_encoder(path, config.network.input_size)

    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return cached_features(encoder, path, images, opened.folder / FEATURES, Progress())

    changed = copies(target, config.augmentation, config.data.seed, config.head.views)
    return Refit(
        config.head,
        opened.params,
        config.data.seed,
        Labelled(features(target.images), target.labels),
        [features(images) for images in changed],
        validation,
        Progress(),
    )


def _rows(corrected: Corrected, which: NDArray[np.bool_]) -> Labelled:
    return Labelled(corrected.features[which], corrected.labels[which])


def _measured(folder: Path, rows: Labelled) -> dict[str, Any]:
    """Judge the head and the calibration in a folder."""
    booster = xgboost.Booster()
    booster.load_model(folder / HEAD)
    calibration = Calibration.model_validate_json((folder / CALIBRATION).read_bytes())
    found = calibrate(booster.inplace_predict(rows.features), calibration.temperature)
    return report(rows.labels, found, EXPRESSIONS)


def _loaded(part: Path, rows: Labelled) -> dict[str, Any]:
    """Judge a bundle as it is loaded."""
    return report(rows.labels, Head(load_bundle(part)).predict(rows.features), EXPRESSIONS)


def _account(corrected: Corrected, feedback: Path) -> dict[str, Any]:
    held = corrected.held
    counts = np.bincount(corrected.labels, minlength=len(EXPRESSIONS)).tolist()
    return {
        "file": feedback.name,
        "sha256": corrected.sha256,
        "bundles": list(corrected.versions),
        "corrections": len(held),
        "replaced": corrected.replaced,
        "learnt_from": int((~held).sum()),
        "held_out": int(held.sum()),
        "labels": dict(zip(EXPRESSIONS, counts, strict=True)),
    }


def _short(result: dict[str, Any]) -> dict[str, Any]:
    """Return what the manifest and the card tell of a refit."""
    parts = {
        part: {
            when: {name: measures[name] for name in SHORT}
            for when, measures in result[part].items()
        }
        for part in ("validation", "held_out", "test")
    }
    return {"feedback": result["feedback"], "weight": result["weight"], **parts}


def _write(folder: Path, result: dict[str, Any], say: Callable[[str], None]) -> None:
    replace(folder / "report.json", json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    replace(folder / "report.md", as_markdown(result))
    say(f"wrote {folder / 'report.md'}")
