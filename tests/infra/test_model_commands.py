"""`sentistream models` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bundle_versions import FACE, add_version, own_bundles
from text_bundles import LIGHT, TINY
from typer.testing import CliRunner, Result

from dataflows.agreement import Agreement, encode
from dataflows.clients import redis_client
from dataflows.keys import Keys
from dataflows.settings import Settings, get_settings
from infra.cli import app


@pytest.fixture
def own(tmp_path: Path, clean_environment: pytest.MonkeyPatch) -> Path:
    """Return bundles that the settings name."""
    clean_environment.setenv("SENTISTREAM_BUNDLES", str(tmp_path))
    return own_bundles(tmp_path)


def run(*arguments: str) -> Result:
    get_settings.cache_clear()
    return CliRunner().invoke(app, ["models", *arguments])


def test_versions_are_listed_as_a_table_and_as_json(own: Path) -> None:
    assert {FACE, TINY, LIGHT} <= set(run("list").stdout.split())
    lines = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert lines[0] == {"kind": "face", "version": FACE, "active": True, "previous": False}
    assert len(lines) == 3


def test_verifying_tells_each_and_fails_if_one_does(own: Path) -> None:
    done = run("verify")
    assert (done.exit_code, done.stdout.count(": fine")) == (0, 3)
    (own / "text" / LIGHT / "calibration.json").write_text("{}")
    done = run("verify")
    assert (done.exit_code, done.stdout.count(": fine")) == (1, 2)
    assert f"text {LIGHT}: " in done.stderr
    assert "calibration.json was changed" in done.stderr
    assert run("verify", TINY).exit_code == 0
    done = run("verify", "nowhere")
    assert done.exit_code == 2
    assert f"there is no bundle nowhere in {own}; found: face {FACE}" in done.stderr


def test_a_version_is_activated_and_rolled_back(own: Path) -> None:
    done = run("activate", LIGHT)
    assert done.stdout == f"text {LIGHT} is in use now; before: {TINY}\n"
    assert (own / "text" / "ACTIVE").read_text() == f"{LIGHT}\n"
    done = run("rollback")
    assert done.stdout == f"text {TINY} is in use now; before: {LIGHT}\n"
    assert run("activate", "nowhere").exit_code == 2
    done = run("rollback", "--kind", "face")
    assert done.exit_code == 2
    assert "knows no version before" in done.stderr


def test_a_version_that_both_kinds_have_needs_its_kind(own: Path) -> None:
    add_version(own / "face", FACE, "2")
    add_version(own / "text", TINY, "2")
    done = run("activate", "2")
    assert done.exit_code == 2
    assert "name one with --kind" in done.stderr
    assert run("activate", "2", "--kind", "face").exit_code == 0
    assert run("activate", "2", "--kind", "text").exit_code == 0
    done = run("rollback")
    assert done.exit_code == 2
    assert "name one with --kind" in done.stderr
    assert run("activate", "2", "--kind", "voice").exit_code == 2


def test_models_that_are_tried_are_compared_over_all_processes(settings: Settings) -> None:
    assert "no running process compares models" in run("compare").stdout
    client, keys = redis_client(settings.redis), Keys(settings.redis.prefix)
    one = Agreement("text", "1", "2", 10, 10, 9, -500)
    for worker in ("a-1", "b-2"):
        client.hset(keys.worker(worker), mapping={"shadow": encode([one])})
    client.hset(keys.worker("c-3"), mapping={"lag": "0"})
    (line,) = run("compare", "--json").stdout.splitlines()
    found = json.loads(line)
    assert (found["events"], found["agreement"], found["confidence_delta"]) == (20, 0.9, -0.05)
    assert {"90.0%", "-0.050"} <= set(run("compare").stdout.split())


def test_who_has_pinned_a_version_is_told_so(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTISTREAM_TEXT__BUNDLE", TINY)
    done = run("activate", LIGHT)
    assert done.exit_code == 0
    assert f"SENTISTREAM_TEXT__BUNDLE is '{TINY}' here" in done.stderr
