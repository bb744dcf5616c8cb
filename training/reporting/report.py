"""The report of one run, whole or half-way: whatever its folder holds."""

from pathlib import Path
from typing import Final

from models.observation import EXPRESSIONS
from training.reporting import judgement, predictions, sections
from training.reporting.document import Document, Section
from training.reporting.files import replace
from training.reporting.markdown import markdown
from training.reporting.page import page
from training.reporting.results import Results, read

__all__ = ["document", "write_report"]

PAGE: Final = "report.html"
MARKDOWN: Final = "report.md"


def write_report(run: Path) -> tuple[Path, Path]:
    """Write `report.html` and `report.md` into the run and return their paths.

    Nothing but the files of the run is read, and no data set is needed.

    Raises:
        RunError: the folder is no run, or one of its files is broken; the message names it.
        ImportError: Matplotlib is not installed.
    """
    report = document(read(run))
    return replace(run / PAGE, page(report)), replace(run / MARKDOWN, markdown(report))


def document(results: Results) -> Document:
    """Return the report of a run."""
    test, found = results.test, results.predictions
    names = test.classes if test else EXPRESSIONS
    parts = {
        "Result": judgement.headline(results),
        "Data": sections.data(results.data),
        "Learning curves": sections.learning(results.curves),
        "Heads compared": sections.leaderboard(
            results.leaderboard, fitted=results.validation is not None
        ),
        "Head": sections.head(results.validation),
        "Confusion matrix": judgement.confusion(test),
        "Classes": judgement.classes(test),
        "Calibration": predictions.calibration(found),
        "Mistakes": predictions.mistakes(found, names),
        "Groups": predictions.by_group(found),
        "Other data and cost": judgement.elsewhere(results.elsewhere),
        "Export": sections.export(results.export),
        "Settings": sections.settings(results.settings),
        "Data fingerprint": sections.fingerprint(results.settings, results.data),
    }
    return Document(
        title=f"Training run {results.name}",
        introduction=(
            "How this bundle was made and how well it reads expressions. All numbers are shares of "
            "1 and come from the files of the run."
        ),
        sections=tuple(Section(title, tuple(blocks)) for title, blocks in parts.items()),
    )
