"""What the commands of `python -m training` say: results, and errors in one line."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import typer

from models.errors import SentiStreamError
from training.errors import MissingExtra
from training.interruption import remembered

__all__ = ["clear_errors", "tell"]

USAGE: Final = 2  # exit code for everything that the user can put right
INTERRUPTED: Final = 130  # as a shell says it


def tell(report: Mapping[str, Any], as_json: bool) -> None:
    """Print a report, a name and a value a line, or as JSON."""
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        typer.echo(f"{name:>18}  {value}")


@contextmanager
def clear_errors() -> Iterator[None]:
    """Tell what the user can put right in one line."""
    try:
        try:
            with remembered():
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
