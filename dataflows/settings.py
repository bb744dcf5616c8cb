"""Settings: environment variables over a TOML file over defaults.

A name is `SENTISTREAM_` and the path of the field joined by `__`. The file is named by
`SENTISTREAM_CONFIG`. A name that does not exist is an error, since a setting that is silently
ignored is worse than one that is missing.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pydantic_settings
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

import models
from dataflows.alert_options import AlertOptions
from dataflows.api_options import ApiSettings
from dataflows.drift_options import DriftOptions
from models.errors import SettingsError
from models.options import DetectorOptions, Limits, ShadowOptions, TextOptions

__all__ = ["Settings", "SettingsError", "get_settings", "setting_names"]

PREFIX = "SENTISTREAM_"
DELIMITER = "__"
# Names with the prefix that are read elsewhere and are no fields of the settings.
OTHER_NAMES = frozenset({"SENTISTREAM_CONFIG", "SENTISTREAM_CACHE", "SENTISTREAM_DATA"})


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Group):
    """Where events are read and results are written."""

    brokers: str = Field(default="127.0.0.1:9092", description="Kafka bootstrap servers.")
    topic: str = Field(default="sentiment.events", description="Topic of the events.")
    predictions_topic: str = Field(
        default="sentiment.predictions", description="Topic of one prediction per event."
    )
    dlq_topic: str = Field(default="sentiment.dlq", description="Topic of rejected events.")
    alerts_topic: str = Field(
        default="sentiment.alerts", description="Topic of alerts, for those who act on them."
    )
    feedback_topic: str = Field(
        default="sentiment.feedback", description="Topic of labels given by people."
    )
    start: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where to begin when there is no recovery state."
    )
    client: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="librdkafka options as a JSON object, for SASL and TLS.",
        repr=False,  # may hold a password
    )
    partitions: int = Field(
        default=4, ge=1, le=10_000, description="Partitions of a topic that has to be created."
    )
    group: str = Field(
        default="sentistream",
        min_length=1,
        description="Consumer group to which positions are committed, for tools that show lag; "
        "they are never read.",
    )
    replication: int = Field(
        default=-1,
        ge=-1,
        le=32,
        description="Replicas of a topic that has to be created; -1 is the broker's default.",
    )


class RedisSettings(_Group):
    """Where aggregates are written."""

    url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis URL; a password in it is never shown.",
    )
    prefix: str = Field(default="sentistream:v1", description="Prefix of every key.", min_length=1)
    thumbnails: bool = Field(
        default=False,
        description="Keep small pictures of the faces (16 an event) of the newest events for five "
        "minutes, with their surroundings blurred. Otherwise no picture is stored anywhere.",
    )


class DashboardSettings(_Group):
    """The dashboard's own server."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8050, ge=0, le=65535, description="Port to listen on.")
    token: SecretStr | None = Field(
        default=None, description="Token, demanded on any address that is not loopback."
    )
    api_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#@]+/?$",
        description="Address of the REST API for the page *Try it*; by default where "
        "`SENTISTREAM_API__HOST` and `…__PORT` say.",
    )

    @field_validator("api_url")
    @classmethod
    def _has_host_and_port(cls, url: str | None) -> str | None:
        # Splitting it, and reading the port, raise ValueError with the reason.
        if url is not None and (not urlsplit(url).hostname or urlsplit(url).port == 0):
            raise ValueError("it needs a host, and a port that is not 0")
        return url


class RejectionSettings(_Group):
    """How much may be rejected before a worker takes the topic for a wrong one, and stops."""

    share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Stop when more than this share of the last `of_last` events was rejected; "
        "1 is no limit.",
    )
    of_last: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Events that `share` is taken of."
    )
    in_a_row: int = Field(
        default=5000, ge=0, description="Stop when so many in a row were rejected; 0 is no limit."
    )


class Settings(BaseSettings):
    """All settings of SentiStream."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, extra="forbid", frozen=True
    )

    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    api: ApiSettings = ApiSettings()
    dashboard: DashboardSettings = DashboardSettings()
    detector: DetectorOptions = DetectorOptions()
    limits: Limits = Limits()
    text: TextOptions = TextOptions()
    shadow: ShadowOptions = ShadowOptions()
    rejections: RejectionSettings = RejectionSettings()
    alerts: AlertOptions = AlertOptions()
    drift: DriftOptions = DriftOptions()
    windows: tuple[int, ...] = Field(
        default=(10, 60, 300, 3600), description="Rolling windows in seconds."
    )
    lateness_s: int = Field(
        default=900,
        ge=0,
        le=86_400,
        description="Seconds that an event may be behind the newest one of its source in its "
        "partition.",
    )
    retention_s: int = Field(
        default=86_400,
        ge=60,
        description="Seconds of event time that panes stay open to corrections behind the newest "
        "one of their source; at least `lateness_s` and the longest window.",
    )
    bundles: Path = Field(
        default=Path(models.__file__).parent,
        description="Folder of the model bundles (default: the ones that come with the package).",
    )
    batch: int = Field(default=32, ge=1, le=1024, description="Most events scored together.")
    threads: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Inference threads per process; 0 takes the cores of the machine.",
    )

    @field_validator("windows")
    @classmethod
    def _windows(cls, windows: tuple[int, ...]) -> tuple[int, ...]:
        if not windows or min(windows) < 1 or max(windows) > 86_400:
            raise ValueError("windows must be between 1 and 86400 seconds, at least one")
        return tuple(sorted(set(windows)))

    @property
    def kept_s(self) -> int:
        """Seconds of event time for which panes are kept in the state."""
        return max(self.retention_s, self.lateness_s + 60, max(self.windows) + 60)

    @property
    def ahead_ms(self) -> int:
        """Milliseconds that the clock of a source may be ahead: no window holds it alone."""
        return min(60_000, min(self.windows) * 500)

    @property
    def idle_s(self) -> int:
        """Seconds of event time after which a source that is silent leaves the state.

        An event that comes later still, and is not too old for `*`, has all that the source had
        before outside of its longest window.
        """
        return self.kept_s + max(self.windows)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, the TOML file."""
        return init_settings, env_settings, _TomlFile(settings_cls)


class _TomlFile(PydanticBaseSettingsSource):
    """Reads the file that `SENTISTREAM_CONFIG` names, if any."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ANN401
        """Return nothing: the whole file is given at once by `__call__`."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the content of the file."""
        name = os.environ.get("SENTISTREAM_CONFIG")
        if not name:
            return {}
        try:
            return tomllib.loads(Path(name).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"SENTISTREAM_CONFIG={name}: cannot be read: {error}") from error


def setting_names(model: type[BaseModel] = Settings, prefix: str = PREFIX) -> Iterator[str]:
    """Yield the environment variable of every setting."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_names(field.annotation, f"{path}{DELIMITER}")
        else:
            yield path


def load_settings() -> Settings:
    """Read the settings afresh.

    Raises:
        SettingsError: a name is unknown (the nearest right one is named) or a value is wrong.
    """
    known = set(setting_names())
    groups = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in os.environ:
        if not name.upper().startswith(PREFIX) or name.upper() in known | groups | OTHER_NAMES:
            continue
        raise SettingsError(f"{name} is no setting{_nearest(name.upper(), known | OTHER_NAMES)}")
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(error))) from None
    except pydantic_settings.SettingsError as error:
        # The value is not shown: it may be a secret.
        raise SettingsError(f"{error}: in the environment it has to be JSON") from None


def _explain(error: ValidationError) -> Iterator[str]:
    known = {name: name.removeprefix(PREFIX).lower() for name in setting_names()}
    for item in error.errors(include_url=False):
        path = ".".join(str(part) for part in item["loc"])
        name = PREFIX + path.replace(".", DELIMITER).upper()
        if item["type"] == "extra_forbidden":
            dotted = [known_path.replace(DELIMITER, ".") for known_path in known.values()]
            yield f"{path} is no setting{_nearest(path, dotted)}"
        else:
            # The value is not shown: it may be a secret.
            yield f"{name} ({path}): {item['msg']}"


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known are: {', '.join(names)}"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings of this process, read once."""
    return load_settings()
