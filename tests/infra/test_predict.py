"""`sentistream predict`, as a process."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from text_bundles import LIGHT

from models.wheels import fetch

pytestmark = pytest.mark.usefixtures("clean_environment")


def predict(*arguments: object, **variables: object) -> tuple[int, list[dict[str, Any]]]:
    command = [sys.executable, "-c", "from infra.cli import app; app()", "predict"]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {name: str(value) for name, value in variables.items()},
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_five_faces_are_found_in_the_group_photo() -> None:
    photo = fetch("multi_face")
    code, (line,) = predict(photo)
    assert code == 0
    assert line.keys() == {"id", "faces", "text", "sentiment", "valence", "models"}
    assert line["id"] == str(photo)
    assert len(line["faces"]) == 5
    for face in line["faces"]:
        assert face.keys() == {"box", "emotion", "confidence", "probabilities", "valence"}


def test_what_cannot_be_used_has_a_line_and_the_exit_code_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a text")
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    (tmp_path / "c.png").touch()
    (tmp_path / "d.mp4").write_bytes(b"no video")
    shutil.copy(fetch("single_face"), tmp_path / "e.jpg")
    (tmp_path / "ignored.xyz").touch()
    code, lines = predict(tmp_path, tmp_path / "missing.jpg", SENTISTREAM_TEXT__BUNDLE="none")
    assert code == 1
    assert [Path(line["id"]).name for line in lines] == [
        "a.txt",
        "b.jpg",
        "c.png",
        "d.mp4",
        "e.jpg",
        "missing.jpg",
    ]
    assert lines[0]["error"] == "no text bundle is in use"
    assert [line.get("reason") for line in lines[:3]] == [
        "no_text_bundle",
        "broken_image",
        "empty_value",
    ]
    assert "cannot be read as a video" in lines[3]["error"]
    assert len(lines[4]["faces"]) == 1
    assert "No such file" in lines[5]["error"]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    code, (line,) = predict(tmp_path)
    assert code == 1
    assert "no file in it ends in" in line["error"]


def test_frames_of_a_video_have_their_times() -> None:
    code, lines = predict("--rate", 0.5, fetch("sample_video"))
    assert code == 0
    times = [float(line["id"].partition("#t=")[2]) for line in lines]
    assert times == pytest.approx([2 * index for index in range(len(times))], abs=0.1)
    assert len(times) >= 9
    assert all(len(line["faces"]) == 1 for line in lines)


def test_texts_are_scored_and_events_with_both_too(bundles: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("what a great and wonderful day, thanks")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "c.txt").write_text("@ann https://t.co/x")
    event = tmp_path / "event.json"
    picture = base64.b64encode(fetch("single_face").read_bytes()).decode()
    event.write_text(json.dumps({"text": "the table is broken", "image": picture}))
    code, lines = predict(tmp_path, event, SENTISTREAM_BUNDLES=bundles)
    assert code == 1
    assert [line.get("reason") for line in lines] == [None, "bad_utf8", "empty_text", None]
    assert lines[0]["text"]["sentiment"] == lines[0]["sentiment"] == "positive"
    assert lines[0]["text"]["language"] == "en"
    assert len(lines[3]["faces"]) == 1
    assert lines[3]["text"] is not None
    assert "explanation" not in lines[3]


def test_results_are_explained_where_that_is_asked_for(bundles: Path, tmp_path: Path) -> None:
    written = tmp_path / "a.txt"
    written.write_text("love the great train at noon")
    code, lines = predict(
        "--explain",
        written,
        fetch("single_face"),
        SENTISTREAM_BUNDLES=bundles,
        SENTISTREAM_TEXT__BUNDLE=LIGHT,
    )
    assert code == 0
    words = lines[0]["explanation"]["text"]
    assert {word["word"] for word in words[:2]} == {"love", "great"}
    assert lines[0]["explanation"]["passes"] == 7
    (face,) = lines[1]["explanation"]["faces"]
    assert len(face) == 3
    assert max(face, key=face.get) == lines[1]["faces"][0]["emotion"]
