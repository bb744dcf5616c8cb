"""Commands of ``python -m training``: `run` for everything, and one for each stage."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import SentiStreamError
from training.errors import DataError, MissingExtra
from training.stages import Run

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make model bundles: fine-tune an encoder, export it, fit a head, evaluate, report.",
)

Settings = Annotated[Path, typer.Option("--config", help="Settings of the run, a TOML file.")]
Root = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="SENTISTREAM_DATA",
        help="Folder that the paths of the data sets are relative to.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option("--run", help="Folder of the run [default: runs/ and the name of the settings]."),
]
Out = Annotated[
    Path | None, typer.Option(help="Folder of the new version [default: face/0.0.1 in the run].")
]
Activate = Annotated[bool, typer.Option("--activate", help="Make it the version in use.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HERE = Path()
CONFIG = Path("training/configs/face.toml")
VERSION = Path("face/0.0.1")
USAGE = 2  # exit code for everything that the user can put right
INTERRUPTED = 130  # as a shell says it


@app.command()
def run(
    config: Settings,
    data: Root = HERE,
    run: Folder = None,
    out: Out = None,
    activate: Activate = False,
) -> None:
    """All stages, to a verified bundle and a report; the same command goes on after a stop."""
    with _clear_errors():
        job = _job(config, data, run)
        _tell(job.all(out or job.folder / VERSION, activate=activate), as_json=False)


@app.command()
def finetune(config: Settings = CONFIG, data: Root = HERE, run: Folder = None) -> None:
    """Fine-tune the encoder; the same command goes on where an interrupted one stopped."""
    with _clear_errors():
        _job(config, data, run).finetune()


@app.command()
def export(config: Settings = CONFIG, data: Root = HERE, run: Folder = None) -> None:
    """Write the fine-tuned encoder as ONNX, and compare the two on real pictures."""
    with _clear_errors():
        _job(config, data, run).export()


@app.command()
def heads(config: Settings = CONFIG, data: Root = HERE, run: Folder = None) -> None:
    """Search among heads on the encoder's features, fit the XGBoost head, and calibrate it."""
    with _clear_errors():
        _tell({"split": "validation", **_job(config, data, run).heads()}, as_json=False)


@app.command()
def variants(config: Settings = CONFIG, data: Root = HERE, run: Folder = None) -> None:
    """Try the encoder in fp16 and int8: accuracy on validation, size and speed."""
    with _clear_errors():
        _job(config, data, run).variants()


@app.command()
def bundle(
    config: Settings = CONFIG,
    data: Root = HERE,
    run: Folder = None,
    out: Out = None,
    activate: Activate = False,
) -> None:
    """Put the bundle together and measure it on the test split."""
    with _clear_errors():
        from training.stages import check_out

        job = _job(config, data, run)
        check_out(out := out or job.folder / VERSION)
        _tell(job.bundle(out, activate=activate), as_json=False)


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Option(help="A version, or the folder with ACTIVE.")],
    data: Annotated[Path, typer.Option(help="A data set, of which the test split is taken.")],
    kind: Annotated[
        str | None, typer.Option("--format", help="How the data set is kept [default: guessed].")
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME=EXPRESSION",
            help="What a class name of the data means; nothing after = leaves the class out. "
            "May be given several times.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a bundle on a test split, with encoder and head as they are committed."""
    with _clear_errors():
        from training.evaluation import evaluate as measure

        mapped = dict(_mapping(entry) for entry in classes or ())
        _tell(measure(bundle, data, kind=kind, classes=mapped), as_json)


@app.command()
def report(run: Annotated[Path, typer.Option(help="Folder of a run.")]) -> None:
    """Write report.html and report.md of what the run has so far."""
    with _clear_errors():
        from training.reporting import write_report

        for path in write_report(run):
            typer.echo(f"wrote {path}", err=True)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    second: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of another run.")],
    out: Annotated[
        Path | None, typer.Option(help="Write a page with the curves side by side as well.")
    ] = None,
) -> None:
    """Put two runs side by side: figures with their differences, and the settings that differ."""
    with _clear_errors():
        from training import reporting

        typer.echo(reporting.compare(first, second))
        if out:
            reporting.write_comparison(first, second, out)
            typer.echo(f"wrote {out}", err=True)


def _job(config: Path, data: Path, run: Path | None) -> Run:
    folder = run or Path("runs") / config.stem
    return Run(config, data, folder, lambda line: typer.echo(line, err=True))


def _mapping(entry: str) -> tuple[str, str]:
    name, equals, expression = entry.partition("=")
    if not equals:
        raise DataError(f"--class {entry!r} is not NAME=EXPRESSION")
    return name, expression


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
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from the last finished epoch", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except SentiStreamError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(USAGE) from None
    except OSError as error:  # a full disk, a folder that may not be written to
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(USAGE) from None
