"""The `sentistream` command as a user runs it: exit codes, and one clear line for each error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image
from waiting import PATIENCE_S

from dataflows.settings import Settings
from infra.offsets import OffsetReader

COMMAND = [sys.executable, "-c", "from infra.cli import app; app(prog_name='sentistream')"]


def sentistream(
    *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "chat.txt"
    path.write_text("good\nbad\n\nso so\n")
    return path


def test_the_version_is_that_of_the_package() -> None:
    done = sentistream("--version")
    assert (done.returncode, done.stdout) == (0, f"sentistream {version('sentistream')}\n")


def test_help_names_every_command() -> None:
    done = sentistream("--help")
    assert done.returncode == 0
    assert {"up", "produce"} <= set(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name exactly one of --camera, --folder, --video and --text"),
        (["--camera", "0", "--folder", "."], "name exactly one of"),
        (["--folder", ".", "--loop"], "--loop goes with --video and --text alone"),
    ],
)
def test_inputs_that_do_not_go_together_are_told_in_one_line(
    clean_environment: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    done = sentistream("produce", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_setting_with_a_wrong_name_is_told_in_one_line_and_leaves_nothing(
    clean_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = sentistream("up", env={"SENTISTREAM_KAFKA__BROKER": "x:1", "TMPDIR": str(tmp_path)})
    assert done.returncode == 2
    assert "did you mean SENTISTREAM_KAFKA__BROKERS?" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_broker_that_is_not_there_ends_the_producer_with_one_line(
    clean_environment: pytest.MonkeyPatch, texts: Path
) -> None:
    address = "127.0.0.1:9"  # discard: nothing listens there
    done = sentistream("produce", "--text", str(texts), env={"SENTISTREAM_KAFKA__BROKERS": address})
    assert done.returncode == 2
    assert f"no Kafka broker answers at {address}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_redis_that_is_not_there_ends_the_stack_with_one_line(
    clean_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env = {"SENTISTREAM_REDIS__URL": "redis://127.0.0.1:9/0", "TMPDIR": str(tmp_path)}
    done = sentistream("up", env=env)
    assert done.returncode == 2
    assert "no Redis answers at 127.0.0.1:9" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
def test_texts_are_sent_to_the_topic_and_counted(settings: Settings, texts: Path) -> None:
    done = sentistream("produce", "--text", str(texts), "--rate", "50")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "chat: 3 sent (0.0 MB), 3 delivered, 0 failed\n"
    with OffsetReader(settings.kafka) as reader:
        assert sum(reader.read(settings.kafka.topic, "end").values()) == 3


@pytest.mark.integration
def test_a_count_ends_a_folder_early(settings: Settings, tmp_path: Path) -> None:
    for number in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.jpg")
    done = sentistream("produce", "--folder", str(tmp_path), "--count", "3", "--source", "album")
    assert done.returncode == 0, done.stderr
    assert "album: 3 sent" in done.stderr
    with OffsetReader(settings.kafka) as reader:
        assert sum(reader.read(settings.kafka.topic, "end").values()) == 3


@pytest.mark.integration
def test_a_failed_delivery_shows_in_the_exit_code(settings: Settings, texts: Path) -> None:
    # A limit of librdkafka that the third line does not keep.
    texts.write_text("good\nbad\n" + "long " * 1000 + "\n")
    client = json.dumps({"message.max.bytes": 2000})
    done = sentistream("produce", "--text", str(texts), env={"SENTISTREAM_KAFKA__CLIENT": client})
    assert done.returncode == 1
    assert "3 sent (0.0 MB), 2 delivered, 1 failed; last error: " in done.stderr
