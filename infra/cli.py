"""The `sentistream` command: parses the line, calls the modules, and turns errors into one line.

What a command needs is imported when it runs, so that `--help` answers at once and a missing extra
only matters to the command that needs it.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from infra import dlq_commands, feedback_commands, model_commands
from models.errors import SentiStreamError

__all__ = ["app"]

USAGE = 2  # exit code for everything that the user can put right


class _Commands(TyperGroup):
    """Commands whose `SentiStreamError`s are told in one line, without a traceback."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401
        try:
            return super().invoke(ctx)
        except SentiStreamError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(USAGE) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a bug's traceback is for a report, and is best in plain text
    help="Live sentiment from streams of images and text.",
)


app.add_typer(dlq_commands.app, name="dlq")
app.add_typer(feedback_commands.app, name="feedback")
app.add_typer(model_commands.app, name="models")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sentistream {version('sentistream')}")
        raise typer.Exit


@app.callback()
def main(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Live sentiment from streams of images and text."""


@app.command()
def up(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes of the flow.")] = 1,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="Send a sample video as three cameras, a photo and a chat."),
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(min=1, help="End after so long, and print a JSON summary."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Port of the dashboard; by default that of the settings, or any free one.",
        ),
    ] = None,
    broker_limit: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="MIB",
            help="Memory of the embedded broker at which the demo's producers stop.",
        ),
    ] = 2048,
) -> None:
    """Run the whole local stack: broker, Redis, flow, API, dashboard. Ctrl-C stops all of it.

    The broker and the Redis are embedded ones, unless the settings name yours.
    """
    from infra.up import Options
    from infra.up import up as run

    options = Options(workers, demo, seconds, port, broker_limit)
    raise typer.Exit(run(options, Console(stderr=True)))


@app.command()
def produce(
    camera: Annotated[
        int | None, typer.Option(min=0, metavar="NUMBER", help="A camera, 0 for the first.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="JPEG, PNG and WebP files in a folder."),
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A video file, at its own pace."),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A text file, one text a line."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Events a second; videos and cameras leave frames out to keep their pace.",
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Name of the source; by default that of the input.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="Play the video, or send the texts, again and again.")
    ] = False,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Quality of JPEG.")] = 85,
    max_side: Annotated[
        int | None, typer.Option(min=16, help="Shrink larger pictures to this many pixels.")
    ] = None,
) -> None:
    """Send events to Kafka from one camera, folder, video or text file."""
    from infra.frames import Jpeg
    from infra.produce import Input
    from infra.produce import produce as run

    jpeg = Jpeg(quality=quality, max_side=max_side)
    chosen = Input(camera, folder, video, text, rate, loop, jpeg)
    raise typer.Exit(run(chosen, source, count, Console(stderr=True)))


@app.command()
def predict(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, videos, text files or folders.")],
    rate: Annotated[
        float, typer.Option(min=0.001, help="Frames a second that are taken from a video.")
    ] = 1.0,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Add the words that moved a text most, and the three most probable expressions of "
            "a face. A text of 30 words then costs as much as 30 texts.",
        ),
    ] = False,
) -> None:
    """Score files and print one JSON line each; no broker is needed.

    The exit code is 1 if any of them could not be used.
    """
    import sys

    from infra.predict import predict as run

    raise typer.Exit(run(paths, rate, sys.stdout, explain=explain))
