"""The benchmark of texts says what it has measured; how fast that was is nothing to test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from text_bundles import LIGHT, TINY

from infra.bench_text import main


@pytest.fixture
def lines(
    clean_environment: pytest.MonkeyPatch,
    bundles: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> list[dict[str, Any]]:
    """Return what is printed for both bundles and a few texts with labels before them."""
    clean_environment.setenv("SENTISTREAM_BUNDLES", str(bundles))
    path = tmp_path / "texts.tsv"
    path.write_text("positive\tlove and joy\nneutral\tthe train is at noon\n\nnegative\tawful\n")
    assert main(["--texts", str(path), "--count", "40", "--rounds", "2"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_bundle_is_compared_with_its_bare_encoder(lines: list[dict[str, Any]]) -> None:
    paths = {line["version"]: line for line in lines if line["what"] == "path / bare encoder"}
    assert paths.keys() == {TINY, LIGHT}
    for line in paths.values():
        speeds = line["path_texts_per_s"], line["encoder_texts_per_s"]
        assert line["ratio"] == pytest.approx(speeds[0] / speeds[1], rel=0.02)
    # The light one has a goal of its own.
    assert paths[TINY]["goal"] == ">= 0.6"
    assert paths[TINY]["met"] is (paths[TINY]["ratio"] >= 0.6)
    assert "goal" not in paths[LIGHT]


def test_the_light_bundle_is_compared_with_the_other(lines: list[dict[str, Any]]) -> None:
    (line,) = [line for line in lines if line["what"] == "light / Transformer"]
    assert (line["light"], line["transformer"], line["goal"]) == (LIGHT, TINY, ">= 20")


def test_padding_and_steps_are_told(lines: list[dict[str, Any]]) -> None:
    padding = [line for line in lines if line["what"] == "padding"]
    assert {line["version"] for line in padding} == {TINY, LIGHT}
    assert all(0 <= line["sorted"] <= line["as_it_comes"] < 1 for line in padding)
    steps = [line for line in lines if line["what"] == "steps"]
    assert all(
        line["microseconds"].keys()
        == {"parse", "clean", "guess", "cut", "encode", "encode_and_head"}
        for line in steps
    )


def test_without_a_text_bundle_it_says_what_to_do(
    clean_environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    clean_environment.setenv("SENTISTREAM_BUNDLES", str(tmp_path))
    assert main([]) == 2
    assert "has no text bundle; make one, or set SENTISTREAM_BUNDLES" in capsys.readouterr().err
