"""Commands of ``python -m training``: one for each stage, and `face` for all of them.

A stage imports what it needs when it runs: `evaluate` works on the runtime install, without torch.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import SentiStreamError
from training import config as configuration
from training import rafdb
from training.config import Config
from training.errors import MissingExtra, RunError
from training.progress import Progress
from training.rafdb import Faces

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make model bundles: fine-tune an encoder, export it, fit a head, evaluate.",
)

Data = Annotated[Path, typer.Option(help="RAF-DB as one tar file.")]
Run = Annotated[Path, typer.Option(help="Folder of the run; the same one goes on.")]
Settings = Annotated[Path, typer.Option("--config", help="Settings of the run.")]
Out = Annotated[Path, typer.Option(help="Folder of the new version.")]
CONFIG = Path("training/face.toml")
VALIDATION = "validation.json"
USAGE = 2  # exit code for everything that the user can put right


@app.command()
def finetune(data: Data, run: Run, config: Settings = CONFIG) -> None:
    """Fine-tune the encoder; the same command goes on where an interrupted one stopped."""
    with _clear_errors():
        settings, train, validation = _open(data, run, config)
        _finetune(settings, train, validation, run)


@app.command()
def export(data: Data, run: Run, config: Settings = CONFIG) -> None:
    """Write the fine-tuned encoder as ONNX, and compare the two on real pictures."""
    with _clear_errors():
        settings, _, validation = _open(data, run, config)
        _export(settings, validation, run)


@app.command()
def head(data: Data, run: Run, config: Settings = CONFIG) -> None:
    """Fit the XGBoost head on the features of the exported encoder, and calibrate it."""
    with _clear_errors():
        settings, train, validation = _open(data, run, config)
        _head(settings, train, validation, run)


@app.command()
def bundle(data: Data, run: Run, out: Out, config: Settings = CONFIG) -> None:
    """Put the bundle together, measure it on the test split, and make it the active one."""
    with _clear_errors():
        _check_new(out)
        settings, train, _ = _open(data, run, config)
        _bundle(settings, len(train), run, out, data)


@app.command()
def face(data: Data, run: Run, out: Out, config: Settings = CONFIG) -> None:
    """All stages in order; what an earlier call has finished is not done again."""
    with _clear_errors():
        from models.bundle import ENCODER

        _check_new(out)  # now, and not after an hour of training
        settings, train, validation = _open(data, run, config)
        _finetune(settings, train, validation, run)
        if not (run / ENCODER).is_file():
            _export(settings, validation, run)
        if not _has_head(settings, run):
            _head(settings, train, validation, run)
        _bundle(settings, len(train), run, out, data)


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Option(help="A version, or the folder with ACTIVE.")],
    data: Data,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a bundle on the test split, with encoder and head as they are committed."""
    with _clear_errors():
        from training.evaluation import evaluate as measure

        _tell(measure(bundle, data), as_json)


def _open(data: Path, run: Path, config: Path) -> tuple[Config, Faces, Faces]:
    """Return the settings, and the faces to learn from and to choose by."""
    settings = configuration.load(config)
    configuration.keep_with_run(settings, rafdb.sha256(data), run)
    faces = rafdb.read(data, "train", side=settings.network.input_size)
    train, validation = rafdb.stratified_split(
        faces.labels, settings.data.validation_fraction, settings.data.seed
    )
    return settings, faces.take(train), faces.take(validation)


def _finetune(settings: Config, train: Faces, validation: Faces, run: Path) -> None:
    from training import finetuning

    finetuning.finetune(settings, train, validation, run, progress=Progress())


def _export(settings: Config, validation: Faces, run: Path) -> None:
    from training import export as exporting

    path = exporting.export(settings, run, validation)
    (run / VALIDATION).unlink(missing_ok=True)  # a head goes with the encoder it was fitted on
    typer.echo(f"wrote {path}", err=True)


def _head(settings: Config, train: Faces, validation: Faces, run: Path) -> None:
    from training import heads

    report = heads.fit_head(settings, train, validation, run, progress=Progress())
    fitted = {"settings": settings.head.model_dump(), "metrics": report}
    (run / VALIDATION).write_text(json.dumps(fitted, indent=2) + "\n", encoding="utf-8")
    _tell({"split": "validation", **report}, as_json=False)


def _bundle(settings: Config, trained_on: int, run: Path, out: Path, data: Path) -> None:
    from training import packaging

    if not _has_head(settings, run):
        raise RunError(
            f"{run}: there is no head of these settings; run `python -m training head` first"
        )
    validation = json.loads((run / VALIDATION).read_text(encoding="utf-8"))["metrics"]
    test = packaging.write_bundle(
        settings, run, out, data=data, trained_on=trained_on, validation=validation
    )
    typer.echo(f"wrote {out}", err=True)
    _tell(test, as_json=False)


def _has_head(settings: Config, run: Path) -> bool:
    """Whether the run's head belongs to its encoder and was fitted with these settings."""
    path = run / VALIDATION
    if not path.is_file():
        return False
    fitted = json.loads(path.read_text(encoding="utf-8"))["settings"]
    return bool(fitted == settings.head.model_dump())


def _check_new(out: Path) -> None:
    if out.exists():
        raise RunError(f"{out} exists; a version never changes, so give another with --out")


def _tell(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        typer.echo(f"{name:>18}  {value}")


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Tell what the user can put right in one line."""
    try:
        try:
            yield
        except ImportError as error:
            raise MissingExtra(error) from error
    except SentiStreamError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(USAGE) from None
