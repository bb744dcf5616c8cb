"""The commands of `sentistream feedback`: corrections out of Kafka, as training reads them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dataflows.feedback import Correction
    from dataflows.settings import Settings

__all__ = ["app", "newest_corrections"]

app = typer.Typer(no_args_is_help=True, help="Look at what people have corrected.")


class Kind(StrEnum):
    """What was corrected."""

    FACE = "face"
    TEXT = "text"


@app.callback()
def _group() -> None:
    """Look at what people have corrected."""


@app.command()
def export(
    out: Annotated[
        Path | None, typer.Option(help="Write to this new file; by default to standard output.")
    ] = None,
    kind: Annotated[Kind, typer.Option(help="Corrections of faces, or of texts.")] = Kind.FACE,
) -> None:
    """Print the corrections as JSON Lines, the newest one of each face or text."""
    from dataflows.settings import get_settings

    found, unread = newest_corrections(get_settings(), kind.value)
    lines = "".join(f"{correction.model_dump_json()}\n" for correction in found)
    if out is None:
        typer.echo(lines, nl=False)
    else:
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(lines)
        except OSError as error:
            raise typer.BadParameter(f"{out}: {error.strerror}", param_hint="--out") from error
    note = f"; {unread} records are no corrections and are left out" if unread else ""
    typer.echo(f"{len(found)} corrections{note}", err=True)


def newest_corrections(settings: Settings, kind: str) -> tuple[list[Correction], int]:
    """Return the corrections of a kind in the order of their times, and how many were unreadable.

    Of several for the same face or text the newest counts.

    Raises:
        ServiceError: the broker does not answer.
    """
    from pydantic import ValidationError

    from dataflows.feedback import Correction
    from infra.offsets import OffsetReader

    topic, unread = settings.kafka.feedback_topic, 0
    newest: dict[tuple[str, int | None], Correction] = {}
    with OffsetReader(settings.kafka) as reader:
        first, end = reader.read(topic, "first"), reader.read(topic, "end")
        for record in reader.records(topic, first, end):
            try:
                correction = Correction.model_validate_json(record.value or b"")
            except ValidationError:
                unread += 1
                continue
            part = (correction.id, correction.face)
            if correction.kind == kind and (
                part not in newest or newest[part].time <= correction.time
            ):
                newest[part] = correction
    return sorted(newest.values(), key=lambda one: one.time), unread
