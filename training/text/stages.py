"""The stages of a run on texts in their order; each leaves files and skips what is done.

They are those of `training.stages`, with two differences: the number format is chosen before the
head is fitted, which so sees the features that it will get; and a second, light model is fitted.
"""

import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from models.bundle import CALIBRATION, ENCODER, HEAD
from models.observation import SENTIMENTS
from models.tokens import Tokenizer
from training.config import keep_with_run
from training.errors import RunError
from training.progress import Progress
from training.stages import FEATURES, LEADERBOARD, PREDICTIONS, TEST, VALIDATION, check_out
from training.text.config import TextConfig, load
from training.text.kept import compared, features_of, read_kept, sha256, write
from training.text.preparation import Prepared, prepare, write_account
from training.text.tweets import Texts, read_split

__all__ = ["CLASSICAL", "TextRun"]

CLASSICAL: Final = "classical.json"
LIGHT: Final = "light"


class TextRun:
    """One run: settings, data and the folder in which its stages leave their results."""

    VERSION: Final = Path("text/0.0.1")  # where a bundle goes in the run's folder unless told
    LIGHT_VERSION: Final = Path("text/0.0.1-light")

    def __init__(
        self, settings: Path, root: Path, folder: Path, say: Callable[[str], None]
    ) -> None:
        """Read the settings.

        Args:
            settings: the TOML file.
            root: the folder that the path of the data is relative to.
            folder: the run's folder, made when there is something to write.
            say: takes lines for the user.

        Raises:
            ConfigError: the settings are wrong.
        """
        self.config: TextConfig = load(settings)
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
        keep_with_run(self.config, prepared.fingerprints, self.folder)
        shutil.copyfile(self._settings, self.folder / "settings.toml")
        write_account(prepared, self.folder)
        self._say(prepared.line)
        return prepared

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from training.text.network import tokenizer_file

        return Tokenizer(tokenizer_file(self.config.network), self.config.network.max_tokens)

    def _ids(self, texts: Texts) -> list[list[int]]:
        return [tokens.ids for tokens in self._tokenizer.encode(texts.cleaned)]

    def finetune(self) -> None:
        """Fine-tune to the end; a finished run is left as it is."""
        from training.reporting import write_curves
        from training.text.finetuning import finetune

        finetune(
            self.config,
            self.data.train,
            self.data.validation,
            self.folder,
            progress=Progress(),
            each_epoch=lambda history: write_curves(history, self.folder),
        )

    def export(self) -> None:
        """Write the encoder as ONNX; what was fitted on an older one goes."""
        from training.text.export import export

        path = export(self.config, self.folder, self.data.validation.cleaned)
        for name in (HEAD, CALIBRATION, VALIDATION, LEADERBOARD):
            (self.folder / name).unlink(missing_ok=True)
        self._say(f"wrote {path}")

    def variants(self) -> None:
        """Try smaller number formats for the encoder, and keep the one that the rules allow."""
        from training.text.variants import try_variants

        held = self.data.validation
        for variant in try_variants(
            self.config.export.precision, self.folder, self._ids(held), held.labels, Progress()
        ):
            self._say(
                f"{variant.name}: {variant.bytes / 1e6:.1f} MB, {variant.time_ratio:.2f} of the "
                f"time, balanced accuracy {variant.balanced_accuracy:.4f}, {variant.note}"
                f"{', ships' if variant.shipped else ''}"
            )

    def heads(self) -> dict[str, Any]:
        """Search among the heads, fit the XGBoost head, calibrate it; return its metrics."""
        from training.heads import fit_head, search

        path = self._shipped()
        train, held = self.data.train, self.data.validation
        cache = self.folder / FEATURES
        learnt, chosen = (
            features_of(path, self._ids(texts), cache, Progress()) for texts in (train, held)
        )
        settings, seed = self.config.head, self.config.data.seed
        best = None
        if settings.search:
            found = search(
                learnt,
                train.labels,
                settings,
                seed,
                Progress(),
                unseen=(chosen, held.labels),
                classes=SENTIMENTS,
            )
            write(self.folder / LEADERBOARD, found.model_dump(mode="json"))
            self._say(found.verdict)
            best = found.best()
        # From here on until the end, this run has no head.
        (self.folder / VALIDATION).unlink(missing_ok=True)
        metrics = fit_head(
            *(settings, seed, learnt, train.labels, chosen, held.labels, self.folder),
            progress=Progress(),
            params=best,
            classes=SENTIMENTS,
        )
        kept = {
            "settings": settings.model_dump(mode="json"),
            "encoder": sha256(path),
            "metrics": metrics,
        }
        write(self.folder / VALIDATION, kept)
        return metrics

    def light(self) -> dict[str, Any]:
        """Fit the light model, and return its metrics on validation."""
        from training.text.light import Labelled, fit_light

        train, held = self.data.train, self.data.validation
        metrics = fit_light(
            self.config.light,
            self._tokenizer.size,
            Labelled(self._ids(train), train.labels),
            Labelled(self._ids(held), held.labels),
            self.folder / LIGHT,
            Progress(),
        )
        kept = {"settings": self.config.light.model_dump(mode="json"), "metrics": metrics}
        write(self.folder / LIGHT / VALIDATION, kept)
        return metrics

    def classical(self) -> None:
        """Compare models without a Transformer; what an interrupted call has done is kept."""
        from training.text.classical import compare

        train, held, seed = self.data.train, self.data.validation, self.config.data.seed
        found = compare(self.config.classical, seed, train, held, self.folder, Progress())
        write(self.folder / CLASSICAL, found.model_dump(mode="json"))
        self._say(found.verdict)

    def bundle(self, out: Path, *, activate: bool) -> dict[str, Any]:
        """Write the bundle, judge it on the test split, and return the metrics there."""
        from training.text.packaging import write_bundle

        path, validation = self._shipped(), self._fitted()
        if validation is None:
            raise RunError(
                f"{self.folder}: there is no head of these settings and this encoder; "
                "run `python -m training heads` first"
            )
        found = write_bundle(
            self.config,
            self.folder,
            out,
            path,
            data=self.data,
            measure=lambda folder: {
                "validation": validation,
                **self._judge(folder, out.name, self.folder),
                "classical": compared(self.folder / CLASSICAL),
            },
            activate=activate,
        )
        self._say(f"wrote {out}")
        test: dict[str, Any] = found["test"]
        return test

    def light_bundle(self, out: Path, *, activate: bool) -> dict[str, Any]:
        """Write the light bundle as `bundle` does, fitting its model first where that is due."""
        from training.text.packaging import write_light_bundle

        validation = self._light_fitted() or self.light()
        found = write_light_bundle(
            self.config,
            self.folder,
            out,
            data=self.data,
            measure=lambda folder: {
                "validation": validation,
                **self._judge(folder, out.name, self.folder / LIGHT),
            },
            activate=activate,
        )
        self._say(f"wrote {out}")
        test: dict[str, Any] = found["test"]
        return test

    def report(self) -> None:
        """Write the report of what there is so far."""
        from training.reporting import write_report

        for path in write_report(self.folder):
            self._say(f"wrote {path}")

    def all(self, out: Path, *, activate: bool) -> dict[str, Any]:
        """Run all stages; what an earlier call has finished is not done again.

        The light bundle goes beside the other, with `-light` at the end of its version.

        Raises:
            RunError: the bundle's folder exists or its name is no version.
        """
        light = out.with_name(f"{out.name}-{LIGHT}")
        check_out(out)  # now, and not after an hour of training
        check_out(light)
        self.finetune()
        if not (self.folder / ENCODER).is_file():
            self.export()
        if self._chosen() is None:
            self.variants()
        if self._fitted() is None:
            self.heads()
        if self._light_fitted() is None:
            self.light()
        if self.config.classical.search:
            self.classical()
        found = self.bundle(out, activate=activate)
        self.light_bundle(light, activate=False)
        self.report()
        return found

    def _judge(self, folder: Path, version: str, results: Path) -> dict[str, Any]:
        """Judge a bundle on the test split."""
        from training.text.evaluation import judge_test

        texts = read_split(self.config.data, self.config.cleaning, self._root, "test")
        found = judge_test(folder, version, texts, results / PREDICTIONS)
        write(results / TEST, found["test"])
        return found

    def _chosen(self) -> Path | None:
        from training.text.variants import shipped_encoder

        return shipped_encoder(self.folder, self.config.export.precision)

    def _shipped(self) -> Path:
        path = self._chosen()
        if path is None:
            raise RunError(
                f"{self.folder}: no number format was chosen for this encoder and "
                f"export.precision = {self.config.export.precision!r}; "
                "run `python -m training variants` first"
            )
        return path

    def _fitted(self) -> dict[str, Any] | None:
        """Return the head's metrics if it is of the encoder and these settings."""
        kept = read_kept(self.folder / VALIDATION, self.config.head)
        path = self._chosen()
        return kept["metrics"] if kept and path and kept.get("encoder") == sha256(path) else None

    def _light_fitted(self) -> dict[str, Any] | None:
        """Return the light model's metrics if it is of these settings."""
        folder = self.folder / LIGHT
        kept = read_kept(folder / VALIDATION, self.config.light)
        return kept["metrics"] if kept and (folder / ENCODER).is_file() else None
