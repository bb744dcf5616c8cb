"""The exceptions of making a bundle.

SentiStreamError (models.errors)
└── TrainingError       root of this folder
    ├── ConfigError     settings are wrong, or not those of the run
    ├── DataError       a data set is missing or not as expected
    ├── RunError        a stage was asked for before the one that it needs
    ├── MissingExtra    a package of the ``train`` extra is not installed
    └── ExportError     the exported encoder does not compute what the network does
"""

from models.errors import SentiStreamError

__all__ = ["ConfigError", "DataError", "ExportError", "MissingExtra", "RunError", "TrainingError"]


class TrainingError(SentiStreamError):
    """Root of the errors of making a bundle."""


class ConfigError(TrainingError):
    """Settings are wrong, or not those that the run was started with."""


class DataError(TrainingError):
    """A data set is missing, or not as expected."""


class RunError(TrainingError):
    """A stage was asked for before the one that it needs."""


class MissingExtra(TrainingError):
    """A package of the ``train`` extra is not installed."""

    def __init__(self, error: ImportError) -> None:
        super().__init__(
            f'this command needs the package {error.name!r}: pip install "sentistream[train]"'
        )


class ExportError(TrainingError):
    """The exported encoder does not compute what the network does."""
