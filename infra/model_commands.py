"""The commands of `sentistream models`: which versions there are, and which is in use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from models.errors import BundleError

if TYPE_CHECKING:
    from dataflows.settings import Settings

__all__ = ["app"]

BROKEN: Final = 1  # exit code of `verify`, as that of `predict` for files that cannot be used

app = typer.Typer(
    no_args_is_help=True, help="Look at model bundles, and change the version in use."
)

Kind = Annotated[
    str | None,
    typer.Option(help="face or text; needed where both have the version.", metavar="KIND"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one line each.")]


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List the versions in the folder of bundles. Their files are not checked."""
    from models.activation import list_versions

    bundles = _settings().bundles
    listed = list_versions(bundles)
    if as_json:
        for one in listed:
            typer.echo(json.dumps(one._asdict()))
        return
    table = Table(title=str(bundles), title_justify="left")
    for column in ("kind", "version", "in use"):
        table.add_column(column, overflow="fold")
    for one in listed:
        use = "in use" if one.active else "the one before" if one.previous else ""
        table.add_row(one.kind, one.version, use)
    Console().print(table)


@app.command()
def verify(
    version: Annotated[
        str | None, typer.Argument(help="A version; by default all are checked.")
    ] = None,
    kind: Kind = None,
) -> None:
    """Check hashes, classes and shapes, and run the models once; exit code 1 if one fails."""
    from models.activation import list_versions
    from models.activation import verify as check

    bundles = _settings().bundles
    wanted = [
        one
        for one in list_versions(bundles)
        if version in (None, one.version) and kind in (None, one.kind)
    ]
    if not wanted:
        raise _unknown(bundles, version, kind)
    broken = False
    for one in wanted:
        try:
            check(one.kind, bundles / one.kind / one.version)
        except BundleError as error:
            broken = True
            typer.echo(f"{one.kind} {one.version}: {error}", err=True)
        else:
            typer.echo(f"{one.kind} {one.version}: fine")
    raise typer.Exit(BROKEN if broken else 0)


@app.command()
def activate(
    version: Annotated[str, typer.Argument(help="The version that is to be used.")],
    kind: Kind = None,
) -> None:
    """Verify a version and use it: the flow and the API change to it within seconds."""
    from models.activation import activate as change

    settings = _settings()
    kind = kind or _kind_of(settings.bundles, version)
    before = change(settings.bundles, _known(kind), version)
    _tell(settings, kind, before, version)


@app.command()
def rollback(kind: Kind = None) -> None:
    """Go back to the version before. A second time comes forth again."""
    from models.activation import list_versions
    from models.activation import rollback as change

    settings = _settings()
    if kind is None:
        kinds = [one.kind for one in list_versions(settings.bundles) if one.previous]
        if len(kinds) > 1:
            raise BundleError("faces and texts both have a version before: name one with --kind")
        kind = kinds[0] if kinds else "face"
    before, version = change(settings.bundles, _known(kind))
    _tell(settings, kind, before, version)


@app.command()
def compare(as_json: AsJson = False) -> None:
    """Compare the models that SENTISTREAM_SHADOW__FACE and __TEXT try with those in use.

    The figures are those of the processes that run now, each since its start or the last change.
    """
    from dataflows.agreement import decode, encode, merged
    from dataflows.clients import check_redis, redis_client
    from dataflows.keys import Keys

    redis = _settings().redis
    check_redis(redis)
    client = redis_client(redis)
    pattern = Keys(redis.prefix).worker("*")
    told = [client.hget(key, "shadow") for key in client.scan_iter(pattern, count=1000)]
    found = merged(one for text in told for one in decode(str(text or "")))
    if as_json:
        for one in json.loads(encode(found)):
            typer.echo(json.dumps(one))
        return
    if not found:
        typer.echo(
            "no running process compares models; SENTISTREAM_SHADOW__FACE or "
            "SENTISTREAM_SHADOW__TEXT of the flow names the version to try"
        )
        return
    table = Table()
    for column in ("kind", "in use", "tried", "events", "faces or texts", "agreement"):
        table.add_column(column)
    for column in ("confidence", "failed", "skipped"):
        table.add_column(column)
    for one in found:
        share, delta = one.share, one.confidence_delta
        table.add_row(
            one.kind,
            one.active,
            one.shadow,
            str(one.events),
            str(one.observations),
            "" if share is None else f"{share:.1%}",
            "" if delta is None else f"{delta:+.3f}",
            str(one.failed + one.unmatched),
            str(one.skipped),
        )
    Console().print(table)


def _settings() -> Settings:
    from dataflows.settings import get_settings

    return get_settings()


def _tell(settings: Settings, kind: str, before: str | None, version: str) -> None:
    typer.echo(f"{kind} {version} is in use now; before: {before or 'none'}")
    if kind == "text" and settings.text.bundle:
        typer.echo(
            f"SENTISTREAM_TEXT__BUNDLE is {settings.text.bundle!r} here: a process with it keeps "
            "that one",
            err=True,
        )


def _known(kind: str) -> str:
    from models.activation import KINDS

    if kind not in KINDS:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(KINDS)}", param_hint="--kind")
    return kind


def _kind_of(bundles: Path, version: str) -> str:
    from models.activation import list_versions

    kinds = [one.kind for one in list_versions(bundles) if one.version == version]
    if len(kinds) > 1:
        raise BundleError(f"faces and texts both have a version {version!r}: name one with --kind")
    if not kinds:
        raise _unknown(bundles, version, None)
    return kinds[0]


def _unknown(bundles: Path, version: str | None, kind: str | None) -> BundleError:
    from models.activation import list_versions

    found = ", ".join(f"{one.kind} {one.version}" for one in list_versions(bundles))
    what = " ".join(filter(None, (kind, "bundle", version)))
    return BundleError(f"there is no {what} in {bundles}; found: {found or 'none'}")
