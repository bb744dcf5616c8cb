"""The stages of a run in their order; each leaves files in the run's folder and skips what is done.

A stage imports what it needs when it is called: judging a bundle works without torch.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import CALIBRATION, ENCODER, HEAD, VERSION, load_bundle
from training import config as configuration
from training.config import Config
from training.datasets.sources import load
from training.errors import DataError, RunError
from training.features import cached_features
from training.preparation import Prepared, prepare, read_split, write_account
from training.progress import Progress
from training.reporting.files import replace

if TYPE_CHECKING:
    from training.heads import Leaderboard

__all__ = ["Run", "check_out"]

VALIDATION: Final = "validation.json"
LEADERBOARD: Final = "leaderboard.json"
TEST: Final = "test.json"
PREDICTIONS: Final = "test_predictions.npz"
OTHERS: Final = "elsewhere.json"
FEATURES: Final = "features"


class Run:
    """One run: settings, data and the folder in which its stages leave their results."""

    VERSION: Final = Path("face/0.0.1")  # where a bundle goes in the run's folder unless told

    def __init__(
        self, settings: Path, root: Path, folder: Path, say: Callable[[str], None]
    ) -> None:
        """Read the settings.

        Args:
            settings: the TOML file.
            root: the folder that the paths of the data sets are relative to.
            folder: the run's folder, made when there is something to write.
            say: takes lines for the user.

        Raises:
            ConfigError: the settings are wrong.
        """
        self.config: Config = configuration.load(settings)
        self.folder = folder
        self._settings, self._root, self._say = settings, root, say

    @cached_property
    def data(self) -> Prepared:
        """The data, read once.

        Raises:
            ConfigError: the run was started with other settings or data.
            DataError: the data cannot be used.
        """
        prepared = prepare(self.config, self._root)
        configuration.keep_with_run(self.config, prepared.fingerprints, self.folder)
        shutil.copyfile(self._settings, self.folder / "settings.toml")
        write_account(prepared, self.folder)
        for source in prepared.account["sources"]:
            self._say(_line(source))
        return prepared

    def finetune(self) -> None:
        """Fine-tune to the end; a finished run is left as it is."""
        from training.finetuning import finetune
        from training.reporting import write_curves

        best_by = self.config.finetuning.best_by
        finetune(
            self.config,
            self.data.train,
            self.data.validation,
            self.folder,
            progress=Progress(),
            each_epoch=partial(write_curves, run=self.folder, best_by=best_by),
        )

    def export(self) -> None:
        """Write the encoder as ONNX; what was fitted on an older one goes."""
        from training.export import export

        path = export(self.config, self.folder, self.data.validation)
        for name in (HEAD, CALIBRATION, VALIDATION, LEADERBOARD):
            (self.folder / name).unlink(missing_ok=True)
        self._say(f"wrote {path}")

    def heads(self) -> dict[str, Any]:
        """Search among the heads, fit the XGBoost head, calibrate it; return its metrics."""
        from training.export import open_encoder
        from training.heads import fit_head, search
        from training.views import copies

        path = self.folder / ENCODER
        if not path.is_file():
            raise RunError(
                f"{self.folder}: there is no {ENCODER} yet; run `python -m training export` first"
            )
        encoder = open_encoder(path, self.config.network.input_size)
        target, held = self.data.target, self.data.validation
        cache, settings, seed = self.folder / FEATURES, self.config.head, self.config.data.seed

        def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
            return cached_features(encoder, path, images, cache, Progress())

        learnt, chosen = features(target.images), features(held.images)
        best = None
        if settings.search:
            key = _search_key(path, self.config)
            found = self._searched(key)
            if found is None:
                unseen = (chosen, held.labels)
                found = search(learnt, target.labels, settings, seed, Progress(), unseen=unseen)
                _write(self.folder / LEADERBOARD, {**json.loads(found.to_json()), "of": key})
            self._say(found.verdict)
            best = found.best()
        ranges = self.config.augmentation
        views = [features(images) for images in copies(target, ranges, seed, settings.views)]
        # From here on until the end, this run has no head.
        (self.folder / VALIDATION).unlink(missing_ok=True)
        metrics = fit_head(
            settings,
            seed,
            np.concatenate([learnt, *views]),
            np.tile(target.labels, 1 + len(views)),
            chosen,
            held.labels,
            self.folder,
            progress=Progress(),
            params=best,
        )
        kept = {"settings": settings.model_dump(mode="json"), "metrics": metrics}
        _write(self.folder / VALIDATION, kept)
        return metrics

    def _searched(self, key: str) -> "Leaderboard | None":
        """Return the leaderboard of the same features and settings, if there is one."""
        from training.heads import Leaderboard

        try:
            kept = json.loads((self.folder / LEADERBOARD).read_text(encoding="utf-8"))
            return Leaderboard.model_validate(kept) if kept.pop("of") == key else None
        except (OSError, ValueError, KeyError):
            return None

    def variants(self) -> None:
        """Try smaller number formats for the encoder, and keep the one that the rules allow."""
        from training.variants import try_variants

        for variant in try_variants(
            self.config, self.folder, self.data.target, self.data.validation, progress=Progress()
        ):
            self._say(f"{variant.name}: {variant.note}")

    def bundle(self, out: Path, *, activate: bool) -> dict[str, Any]:
        """Write the bundle, judge it on the test split, and return the metrics there."""
        from training.packaging import write_bundle

        validation = self._fitted()
        if validation is None:
            raise RunError(
                f"{self.folder}: there is no head of these settings; "
                "run `python -m training heads` first"
            )
        found = write_bundle(
            self.config,
            self.folder,
            out,
            data=self.data,
            measure=lambda folder: {"validation": validation, **self._judge(folder, out.name)},
            activate=activate,
        )
        self._say(f"wrote {out}")
        test: dict[str, Any] = found["test"]
        return test

    def _judge(self, folder: Path, version: str) -> dict[str, Any]:
        """Judge a bundle on every test split that there is, and on the photographs if given."""
        from training.evaluation import evaluate, evaluate_faces, judge
        from training.metrics import report

        checked = load_bundle(folder)
        first, *others = self.config.data.sources
        side = checked.manifest.input_size
        faces = read_split(first, self._root, "test", side=side)
        judged = judge(checked, faces, Progress())
        judged.save(self.folder / PREDICTIONS)
        metrics = report(faces.labels, judged.probabilities, checked.manifest.classes)
        test = {"bundle": version, "split": "test", **metrics}
        _write(self.folder / TEST, test)
        also = {
            source.name: evaluate_faces(checked, source, self._root, found)
            for source in others
            if len(found := load(source, self._root, "test", side=side).faces)
        }
        measured: dict[str, Any] = {"also": also}
        if self.config.export.cost:
            from training.cost import cost_ratio

            measured["cost"] = cost_ratio(folder)
        if photographs := self.config.data.photographs:
            measured["photographs"] = evaluate(folder, self._root / photographs, kind="frames")
        _write(self.folder / OTHERS, measured)
        return {"test": test, **measured}

    def report(self) -> None:
        """Write the report of what there is so far."""
        from training.reporting import write_report

        for path in write_report(self.folder):
            self._say(f"wrote {path}")

    def all(self, out: Path, *, activate: bool) -> dict[str, Any]:
        """Run all stages; what an earlier call has finished is not done again.

        Raises:
            RunError: the bundle's folder exists or its name is no version.
        """
        from training.export import is_exported

        check_out(out)  # now, and not after an hour of training
        if not any(self.data.account["classes"]["test"].values()):
            raise DataError(
                f"data.sources: {self.config.data.sources[0].name!r}, the first one, has no test "
                "split, by which the bundle is judged"
            )
        self.finetune()
        if not is_exported(self.config, self.folder):
            self.export()
        if self._fitted() is None:
            self.heads()
        self.variants()
        found = self.bundle(out, activate=activate)
        self.report()
        return found

    def _fitted(self) -> dict[str, Any] | None:
        """Return the head's metrics if it belongs to the encoder and to these settings."""
        try:
            kept = json.loads((self.folder / VALIDATION).read_text(encoding="utf-8"))
            same = kept["settings"] == self.config.head.model_dump(mode="json")
            metrics: dict[str, Any] = kept["metrics"]
        except (OSError, ValueError, KeyError):
            return None
        return metrics if same else None


def check_out(out: Path) -> None:
    """Refuse a folder that no new version can have.

    Raises:
        RunError: it exists, or its name is no version.
    """
    if not re.match(VERSION, out.name):
        raise RunError(f"{out.name!r} is no version; name the folder such as models/face/1.2.0")
    if out.exists():
        raise RunError(f"{out} exists; a version never changes, so give another with --out")


def _search_key(encoder: Path, config: Config) -> str:
    """Return a hash of all that a search depends on but the data, which a run cannot change."""
    settings = config.head.model_dump(mode="json", exclude={"views", "taught", "max_rounds"})
    text = json.dumps(
        [settings, config.data.seed, hashlib.sha256(encoder.read_bytes()).hexdigest()]
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _line(source: dict[str, Any]) -> str:
    classes = ", ".join(
        f"{name} {count}" if name == ours else f"{name} → {ours or 'left out'} {count}"
        for name, (count, ours) in source["classes"].items()
    )
    broken = "".join(f"\n  not readable: {name}: {why}" for name, why in source["broken"].items())
    return (
        f"{source['name']}: {classes}; {source['learnt_from']} to learn from, "
        f"{source['duplicates_removed']} removed that also stand in validation or test{broken}"
    )


def _write(path: Path, content: dict[str, Any]) -> None:
    replace(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
