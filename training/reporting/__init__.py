"""What a training run has shown: curves, a report of one run, a comparison of two."""

from training.reporting.comparison import compare, write_comparison
from training.reporting.curves import write_curves
from training.reporting.report import write_report

__all__ = ["compare", "write_comparison", "write_curves", "write_report"]
