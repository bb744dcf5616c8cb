"""The report of one run, whole or half-way: whatever its folder holds."""

from pathlib import Path
from typing import Final

from models.observation import EXPRESSIONS, SENTIMENTS
from training.reporting import judgement, predictions, rankings, sections
from training.reporting.document import Document, Section
from training.reporting.files import replace
from training.reporting.markdown import markdown
from training.reporting.page import page
from training.reporting.results import Results, read
from training.reporting.run_files import FACES, TEXTS

__all__ = ["document", "write_report"]

PAGE: Final = "report.html"
MARKDOWN: Final = "report.md"
READS: Final = {FACES: "expressions", TEXTS: "the sentiment of texts"}


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
    test, found, things = results.test, results.predictions, results.things
    texts = things == TEXTS
    names = test.classes if test else SENTIMENTS if texts else EXPRESSIONS
    own = (
        {
            "Classical models compared": rankings.classical(results.classical),
            "Light model": rankings.light(results.light, results.light_test),
        }
        if texts
        else {"Other data and cost": judgement.elsewhere(results.elsewhere)}
    )
    parts = {
        "Result": judgement.headline(results),
        "Data": sections.data(results.data, things),
        "Learning curves": sections.learning(results.curves, results.best_by),
        "Heads compared": rankings.leaderboard(
            results.leaderboard, fitted=results.validation is not None, things=things
        ),
        "Head": rankings.head(results.validation),
        "Confusion matrix": judgement.confusion(test, things),
        "Classes": judgement.classes(test, things),
        "Calibration": predictions.calibration(found, things),
        "Mistakes": predictions.mistakes(found, names, things),
        "Groups": predictions.by_group(found, things),
        **own,
        "Export": sections.export(results.export, things),
        "Settings": sections.settings(results.settings),
        "Data fingerprint": sections.fingerprint(results.settings, results.data, things),
    }
    return Document(
        title=f"Training run {results.name}",
        introduction=(
            f"How this bundle was made and how well it reads {READS[things]}. All numbers are "
            "shares of 1 and come from the files of the run."
        ),
        sections=tuple(Section(title, tuple(blocks)) for title, blocks in parts.items()),
    )
