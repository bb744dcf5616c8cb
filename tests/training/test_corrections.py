"""Corrections as rows: the newest of each face counts, and neighbours stay together."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from training.corrections import BLOCKS, read_corrections
from training.heads.refit import LARGEST_LOSS, Tried, choose


def line(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"e{number}",
        "face": 0,
        "time": f"2026-11-26T12:{number:02}:00Z",
        "bundle": "face/1.0.0",
        "predicted": "neutral",
        "label": "sadness",
        "features": [float(number), 1.0],
        **changes,
    }


def write(folder: Path, lines: list[dict[str, Any]]) -> Path:
    path = folder / "feedback.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    return path


def test_of_several_corrections_of_a_face_the_newest_counts(tmp_path: Path) -> None:
    lines = [line(number) for number in range(BLOCKS)]
    late = line(3, time="2026-11-26T13:00:00Z", label="fear")
    early = line(4, time="2026-11-26T11:00:00Z", label="anger")
    other_face = line(5, face=1, label="disgust")
    twice = [line(6, label="surprise"), line(6, label="happiness")]
    path = write(tmp_path, [late, *lines, early, other_face, *twice])
    found = read_corrections(path, 2)
    assert len(found.labels) == BLOCKS + 1
    assert found.replaced == 4
    counts = np.bincount(found.labels, minlength=7)
    # surprise, fear, disgust, happiness, sadness, anger, neutral
    assert counts.tolist() == [0, 1, 1, 1, BLOCKS - 2, 0, 0]


def test_faces_of_an_event_and_equal_features_stay_together(tmp_path: Path) -> None:
    lines = [line(number) for number in range(50)]
    sibling = line(2, face=1, time="2026-11-26T18:00:00Z", features=[9.5, 1.0])
    sent_again = line(51, id="again", time="2026-11-26T19:00:00Z", features=[7.0, 1.0])
    found = read_corrections(write(tmp_path, [*lines, sibling, sent_again]), 2)
    blocks = {tuple(row): block for row, block in zip(found.features, found.blocks, strict=True)}
    assert blocks[9.5, 1.0] == blocks[2.0, 1.0]
    same = found.blocks[found.features[:, 0] == 7.0]
    assert len(same) == 2
    assert len(set(same.tolist())) == 1


def test_blocks_are_stretches_of_time_and_folds_share_no_block(tmp_path: Path) -> None:
    lines = [line(number % 60, id=str(number)) for number in range(200)]
    for number, one in enumerate(lines):
        one["time"] = f"2026-11-26T{number // 60:02}:{number % 60:02}:00Z"
        one["features"] = [float(number), 0.0]
    backwards = read_corrections(write(tmp_path, lines[::-1]), 2)
    found = read_corrections(write(tmp_path, lines), 2)
    assert np.array_equal(found.blocks, backwards.blocks)  # the order of the lines is nothing
    assert np.array_equal(found.features[:, 0], np.arange(200))
    assert (np.diff(found.blocks) >= 0).all()
    assert np.bincount(found.blocks).tolist() == [10] * BLOCKS
    assert found.held.sum() == 50
    folds, learnt = found.folds(3), found.blocks[~found.held]
    assert set(folds.tolist()) == {0, 1, 2}
    for block in set(learnt.tolist()):
        assert len(set(folds[learnt == block].tolist())) == 1


def test_the_weight_is_the_best_for_corrections_that_costs_little_on_validation() -> None:
    light, middle, heavy = Tried(1, 0.5, 0.86), Tried(5, 0.6, 0.857), Tried(25, 0.9, 0.80)
    assert choose([light, middle, heavy], 0.86) == middle
    assert choose([light, middle._replace(corrections=0.5), heavy], 0.86) == light  # of equals
    assert choose([heavy, middle], 0.857 + 2 * LARGEST_LOSS) == middle  # nothing is cheap enough
