"""The command that measures how often hours are called drifted."""

from __future__ import annotations

import pytest

from infra.drift_rates import main


def test_the_reference_is_left_in_peace_and_a_stream_of_something_else_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(hours=20)
    lines = capsys.readouterr().out.splitlines()
    calm = [line.split() for line in lines if line.startswith("the reference")]
    half = [line.split() for line in lines if line.startswith("half is another")]
    assert len(calm) == len(half) == 8  # two bundles, four sizes
    assert {row[6] for row in calm} == {"0.0000"}
    assert {row[7] for row in half} == {"1.0000"}
