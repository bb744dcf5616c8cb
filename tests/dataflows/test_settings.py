from pathlib import Path

import pytest

from dataflows.settings import Settings, load_settings, setting_names
from models.errors import SettingsError


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith("SENTISTREAM_"):
            monkeypatch.delenv(name)


def test_defaults_are_those_of_the_contract() -> None:
    settings = load_settings()
    assert settings.kafka.topic == "sentiment.events"
    assert settings.redis.prefix == "sentistream:v1"
    assert settings.windows == (10, 60, 300, 3600)
    assert settings.lateness_s == 900
    assert settings.bundles.name == "models"


def test_the_environment_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('lateness_s = 5\n[kafka]\nbrokers = "file:1"\ntopic = "from-file"\n')
    monkeypatch.setenv("SENTISTREAM_CONFIG", str(file))
    monkeypatch.setenv("SENTISTREAM_KAFKA__BROKERS", "environment:1")
    monkeypatch.setenv("SENTISTREAM_KAFKA__CLIENT", '{"security.protocol": "SSL"}')
    monkeypatch.setenv("SENTISTREAM_WINDOWS", "[60, 10]")
    settings = load_settings()
    assert settings.kafka.brokers == "environment:1"
    assert settings.kafka.topic == "from-file"
    assert settings.kafka.client == {"security.protocol": "SSL"}
    assert settings.lateness_s == 5
    assert settings.windows == (10, 60)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SENTISTREAM_KAFKA__BROKER", "SENTISTREAM_KAFKA__BROKERS"),
        ("SENTISTREAM_REDIS_URL", "SENTISTREAM_REDIS__URL"),
        ("SENTISTREAM_LATENES_S", "SENTISTREAM_LATENESS_S"),
    ],
)
def test_a_wrong_name_names_the_nearest_right_one(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=f"{name} is no setting; did you mean {nearest}"):
        load_settings()


def test_a_wrong_name_in_the_file_names_the_nearest_right_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[kafka]\nbroker = "x"\n')
    monkeypatch.setenv("SENTISTREAM_CONFIG", str(file))
    with pytest.raises(SettingsError, match=r"kafka.broker is no setting; did you mean kafka.brok"):
        load_settings()


@pytest.mark.parametrize("content", [None, "no toml ="])
def test_a_file_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "config.toml"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SENTISTREAM_CONFIG", str(file))
    with pytest.raises(SettingsError, match=r"SENTISTREAM_CONFIG=.*config.toml: cannot be read"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SENTISTREAM_LATENESS_S", "soon"),
        ("SENTISTREAM_WINDOWS", "[0]"),
        ("SENTISTREAM_WINDOWS", "[]"),
        ("SENTISTREAM_KAFKA__START", "middle"),
        ("SENTISTREAM_KAFKA__CLIENT", "{"),
    ],
)
def test_a_wrong_value_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    field = name.split("__")[0].removeprefix("SENTISTREAM_").lower()
    with pytest.raises(SettingsError, match=field):
        load_settings()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTISTREAM_REDIS__URL", "redis://:hunter2@host:1/0")
    monkeypatch.setenv("SENTISTREAM_API__TOKEN", "hunter2")
    monkeypatch.setenv("SENTISTREAM_KAFKA__CLIENT", '{"sasl.password": "hunter2"}')
    assert "hunter2" not in repr(load_settings())


def test_panes_are_kept_at_least_for_lateness_and_windows() -> None:
    settings = Settings(lateness_s=3000, retention_s=60, windows=(7200,))
    assert settings.kept_s >= 7200
    assert Settings(lateness_s=9000, retention_s=60, windows=(10,)).kept_s >= 9000


def test_every_setting_has_a_description() -> None:
    names = list(setting_names())
    assert "SENTISTREAM_KAFKA__BROKERS" in names
    assert "SENTISTREAM_DETECTOR__MIN_FACE" in names
    assert len(names) == len(set(names))
