"""Commands of ``python -m training``: `run` for everything, and one for each stage."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from models.bundle import kind_of
from training.console import clear_errors, tell
from training.errors import ConfigError, DataError
from training.stages import Run
from training.text.config import is_text
from training.text.stages import TextRun
from training.text.tweets import SPLITS

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
    typer.Option("--run", help="Folder of the run; else runs/ and the name of the settings."),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder of the new version; else in the run, face/0.0.1 or text/0.0.1."),
]
Activate = Annotated[bool, typer.Option("--activate", help="Make it the version in use.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HERE = Path()
CONFIG = Path("training/configs/face.toml")
TEXT_CONFIG = Path("training/configs/text.toml")
TEST = "test"


@app.command()
def run(
    config: Settings,
    data: Root = HERE,
    run: Folder = None,
    out: Out = None,
    activate: Activate = False,
) -> None:
    """All stages, to a verified bundle and a report; the same command goes on after a stop."""
    with clear_errors():
        job = _job(config, data, run)
        tell(job.all(out or job.folder / job.VERSION, activate=activate), as_json=False)


@app.command()
def finetune(config: Settings = CONFIG, data: Root = HERE, run: Folder = None) -> None:
    """Fine-tune the encoder; the same command goes on where an interrupted one stopped."""
    with clear_errors():
        _job(config, data, run).finetune()


@app.command()
def export(config: Settings = CONFIG, data: Root = HERE, run: Folder = None) -> None:
    """Write the fine-tuned encoder as ONNX, and compare the two on real pictures."""
    with clear_errors():
        _job(config, data, run).export()


@app.command()
def heads(
    config: Annotated[
        Path | None,
        typer.Option(
            help=f"Settings of the run, a TOML file (default: {CONFIG}; with --feedback those in "
            "the folder of the run)."
        ),
    ] = None,
    data: Root = HERE,
    run: Folder = None,
    feedback: Annotated[
        Path | None,
        typer.Option(
            help="Refit the head of a finished run on faces with these corrections, the file of "
            "`sentistream feedback export`."
        ),
    ] = None,
    bundles: Annotated[
        Path,
        typer.Option(
            envvar="SENTISTREAM_BUNDLES",
            help="Folder of the bundles that were corrected, to compare encoders.",
        ),
    ] = Path("models"),
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of a new version with the refitted head, as models/face/1.3.1."),
    ] = None,
    activate: Activate = False,
    force: Annotated[
        bool, typer.Option("--force", help="Take a refitted head that loses much on validation.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Search among heads on the encoder's features, fit the XGBoost head, and calibrate it.

    With --feedback, refit the head of a finished run with corrections by people instead.
    """
    with clear_errors():
        if feedback is None:
            if out or activate or force:
                raise ConfigError("--out, --activate and --force need --feedback here")
            found = _job(config or CONFIG, data, run).heads()
            tell({"split": "validation", **found}, as_json)
            return
        if run is None or config is not None:
            raise ConfigError("--feedback needs --run, and takes the settings from that folder")
        if activate and out is None:
            raise ConfigError("--activate needs --out, the new version")
        from training.refitting import refit
        from training.reporting.refit import as_markdown

        result = refit(
            *(run, feedback, data, partial(typer.echo, err=True)),
            bundles=bundles,
            out=out,
            activate=activate,
            force=force,
        )
        typer.echo(json.dumps(result) if as_json else as_markdown(result))


@app.command()
def variants(config: Settings = CONFIG, data: Root = HERE, run: Folder = None) -> None:
    """Try the encoder in fp16 and int8: accuracy on validation, size and speed."""
    with clear_errors():
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
    with clear_errors():
        from training.stages import check_out

        job = _job(config, data, run)
        check_out(out := out or job.folder / job.VERSION)
        tell(job.bundle(out, activate=activate), as_json=False)


@app.command()
def light(
    config: Settings = TEXT_CONFIG,
    data: Root = HERE,
    run: Folder = None,
    out: Out = None,
    activate: Activate = False,
) -> None:
    """Make the bundle for very high rates of texts, without a Transformer."""
    with clear_errors():
        from training.stages import check_out

        job = _text_job(config, data, run)
        check_out(out := out or job.folder / job.LIGHT_VERSION)
        tell(job.light_bundle(out, activate=activate), as_json=False)


@app.command()
def classical(config: Settings = TEXT_CONFIG, data: Root = HERE, run: Folder = None) -> None:
    """Compare models of texts without a Transformer; an interrupted comparison goes on."""
    with clear_errors():
        _text_job(config, data, run).classical()


@app.command()
def reference(
    bundle: Annotated[
        Path, typer.Argument(help="A version without a reference, or the folder with ACTIVE.")
    ],
    config: Settings = CONFIG,
    data: Root = HERE,
    run: Folder = None,
) -> None:
    """Add what drift is measured against to a bundle of before there were references."""
    with clear_errors():
        kind = kind_of(bundle)
        if (kind == "text") != is_text(config):
            suited = TEXT_CONFIG if kind == "text" else CONFIG
            raise ConfigError(
                f"{bundle} is a {kind} bundle, {config} is for another kind; give the settings "
                f"that it was made with, such as --config {suited}"
            )
        from training.reference import add_reference

        add_reference(bundle, _job(config, data, run).data.validation)


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Option(help="A version, or the folder with ACTIVE.")],
    data: Annotated[Path, typer.Option(help="A data set, of which the test split is taken.")],
    split: Annotated[str, typer.Option(help="Of texts: train, val or test.")] = "test",
    kind: Annotated[
        str | None, typer.Option("--format", help="How the data set is kept; else it is guessed.")
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
    with clear_errors():
        mapped = dict(_mapping(entry) for entry in classes or ())
        if kind_of(bundle) == "text":
            if kind or mapped or split not in SPLITS:
                raise DataError(
                    f"a text bundle takes --split {', '.join(SPLITS)}, and neither --format nor "
                    "--class"
                )
            from training.text.evaluation import evaluate as measure_texts

            tell(measure_texts(bundle, data, split=split), as_json)
            return
        if split != TEST:
            raise DataError("--split is for text bundles; faces are judged on the test split")
        from training.evaluation import evaluate as measure

        tell(measure(bundle, data, kind=kind, classes=mapped), as_json)


@app.command()
def report(run: Annotated[Path, typer.Option(help="Folder of a run.")]) -> None:
    """Write report.html and report.md of what the run has so far."""
    with clear_errors():
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
    with clear_errors():
        from training import reporting

        typer.echo(reporting.compare(first, second))
        if out:
            reporting.write_comparison(first, second, out)
            typer.echo(f"wrote {out}", err=True)


def _job(config: Path, data: Path, run: Path | None) -> Run | TextRun:
    """Return the run on faces or on texts, as the settings say."""
    folder = run or Path("runs") / config.stem
    kind = TextRun if is_text(config) else Run
    return kind(config, data, folder, lambda line: typer.echo(line, err=True))


def _text_job(config: Path, data: Path, run: Path | None) -> TextRun:
    job = _job(config, data, run)
    if not isinstance(job, TextRun):
        raise ConfigError(f'{config} is for faces; this command needs settings with kind = "text"')
    return job


def _mapping(entry: str) -> tuple[str, str]:
    name, equals, expression = entry.partition("=")
    if not equals:
        raise DataError(f"--class {entry!r} is not NAME=EXPRESSION")
    return name, expression
