"""The commands of `sentistream dlq`: options in, a table or JSON out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.visible import visible

if TYPE_CHECKING:
    from dataflows.dead_letters import DeadLetter
    from infra.dlq import Box

__all__ = ["app"]

SHOWN_BYTES: Final = 2000  # of a value that is text

app = typer.Typer(no_args_is_help=True, help="Look at dead letters, and send them back.")

Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", help="This reason alone; may be given several times."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one line each.")]


@app.command("list")
def list_letters(
    reason: Reasons = None,
    newest: Annotated[
        int, typer.Option(min=1, help="How many of each partition are looked at.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest dead letters: where they stand, why, and where they came from."""
    box = _box()
    letters = box.newest(newest, _known(reason))
    if as_json:
        for letter in letters:
            typer.echo(json.dumps(_summary(letter)))
        return
    table = Table(title=f"{len(letters)} of {box.total()} dead letters", title_justify="left")
    for column in ("place", "reason", "detail", "bytes", "came from", "replays"):
        table.add_column(column, overflow="fold")
    for letter in letters:
        came_from = letter.original
        table.add_row(
            f"{letter.partition} {letter.offset}",
            letter.reason,
            Text(visible(letter.detail)),
            str(letter.value_bytes),
            Text(visible(f"{came_from.topic}/{came_from.partition}/{came_from.offset}")),
            str(letter.replays),
        )
    Console().print(table)


@app.command()
def show(
    partition: Annotated[int, typer.Argument(min=0, help="Partition of the dead letter.")],
    offset: Annotated[int, typer.Argument(min=0, help="Its offset.")],
    out: Annotated[Path | None, typer.Option(help="Write the value to this new file.")] = None,
) -> None:
    """Show one dead letter as JSON: headers, and the value as far as it is text."""
    letter = _box().one(partition, offset)
    value = letter.original.value or b""
    if out is not None:
        _write_new(out, value)
    try:
        text: str | None = value.decode()[:SHOWN_BYTES]
    except UnicodeDecodeError:
        text = None
    headers = {
        name: None if content is None else content.decode(errors="backslashreplace")
        for name, content in letter.original.headers
    }
    key = letter.original.key
    document = {
        **_summary(letter),
        "key": None if key is None else key.decode(errors="backslashreplace"),
        "headers": headers,
        "text": text,
    }
    typer.echo(visible(json.dumps(document, indent=2, ensure_ascii=False)))


@app.command()
def replay(
    reason: Reasons = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Begin anew, and also send what had come back before."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be sent.")
    ] = False,
) -> None:
    """Send dead letters back to the topic they came from, each once, marked with x-replayed."""
    done = _box().replay(_known(reason), again=again, dry_run=dry_run)
    verb = "would go back" if dry_run else "went back"
    for name, count in sorted(done.sent.items()):
        typer.echo(f"{count:>8}  {verb}: {name}")
    typer.echo(f"{done.sent.total():>8}  {verb} in all")
    if done.foreign:
        typer.echo(f"{done.foreign:>8}  were left: they name another topic than that of events")
    if done.looped:
        typer.echo(f"{done.looped:>8}  were left: they came back before (--again sends them)")
    for topic, partition, offset in done.gone:
        typer.echo(
            f"          gone: the value of {visible(topic)}/{partition}/{offset} stands nowhere now"
        )


def _box() -> Box:
    from dataflows.settings import get_settings
    from infra.dlq import Box

    return Box(get_settings())


def _known(reasons: list[str] | None) -> list[str]:
    from dataflows.contract import REASONS

    for reason in reasons or ():
        if reason not in REASONS:
            raise typer.BadParameter(
                f"{reason!r} is none of {', '.join(REASONS)}", param_hint="--reason"
            )
    return reasons or []


def _summary(letter: DeadLetter) -> dict[str, Any]:
    from dataflows.contract import END_OF_TIME_MS, format_time

    original = letter.original
    stamp: int | str | None = original.timestamp_ms
    if isinstance(stamp, int) and stamp < END_OF_TIME_MS:
        stamp = format_time(stamp)
    return {
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason,
        "detail": letter.detail,
        "bytes": letter.value_bytes,
        "topic": original.topic,
        "original_partition": original.partition,
        "original_offset": original.offset,
        "timestamp": stamp,
        "replays": letter.replays,
    }


def _write_new(path: Path, value: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(value)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--out") from error
