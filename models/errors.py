"""The exceptions of SentiStream.

SentiStreamError
├── AssetError      a pinned file (weights, sample) cannot be had, or is not what was pinned
├── BundleError     a model bundle is incomplete, changed, or made for another version
├── ContentError    the content of one event cannot be used; carries the reason
├── ServiceError    Kafka, Redis or a child process cannot be reached or used
├── SettingsError   a setting has a wrong name or value
├── InputError      a camera, video, folder or file cannot be used (infra.frames)
└── TrainingError   data, settings or stages of a training run (training.errors)
"""

__all__ = [
    "AssetError",
    "BundleError",
    "ContentError",
    "SentiStreamError",
    "ServiceError",
    "SettingsError",
]


class SentiStreamError(Exception):
    """Root of every error that SentiStream raises on purpose; its text is meant for the user."""


class AssetError(SentiStreamError):
    """A pinned file cannot be fetched, or its hash is not the pinned one."""


class BundleError(SentiStreamError):
    """A model bundle is incomplete, changed, or made for another version."""


class ServiceError(SentiStreamError):
    """Kafka, Redis or a child process cannot be reached or used."""


class SettingsError(SentiStreamError):
    """A setting has a wrong name or value."""


class ContentError(SentiStreamError):
    """The content of one event cannot be used.

    Attributes:
        reason: short stable code, the `x-reason` of the dead letter.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
