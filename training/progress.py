"""Progress of long stages: a bar with the time left, and lines for what was reached."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from training.interruption import heed

__all__ = ["Progress"]


class Progress:
    """One bar at a time, on standard error, so that standard output stays for results."""

    def __init__(self, console: Console | None = None) -> None:
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console or Console(stderr=True),
        )
        self._task: TaskID | None = None

    def start(self, name: str, *, total: int, done: int = 0) -> None:
        """Begin a bar of `total` steps, of which `done` were made in an earlier run."""
        self._task = self._bars.add_task(name, total=total, completed=done)
        self._bars.start()

    def advance(self, steps: int = 1) -> None:
        """Count steps of the running bar; a Ctrl-C that got lost ends the command here."""
        heed()
        if self._task is not None:
            self._bars.advance(self._task, steps)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._bars.console.print(line, highlight=False, soft_wrap=True)

    def finish(self) -> None:
        """End the running bar and leave it on the screen."""
        self._bars.stop()
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
