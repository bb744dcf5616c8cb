"""The parts of the benchmark of panes that are no measurement."""

from __future__ import annotations

import json

import pytest
from bytewax.testing import run_main

from dataflows.content import read_content
from dataflows.contract import Envelope, open_envelope
from dataflows.settings import Settings
from infra.pane_kafka import steady_rate
from infra.pane_load import THEIR_LENGTH_S, Load, our_flow, their_flow
from infra.pane_state import Epochs
from models.observation import observe_face
from models.options import Limits

LOAD = Load(sources=7, per_s=20)


def test_a_rate_leaves_out_the_start() -> None:
    looks = [(0.0, 0), (10.0, 100), (11.0, 250), (12.0, 600), (13.0, 1000), (14.0, 1000)]
    assert steady_rate(looks, 1000) == pytest.approx(750 / 2)


@pytest.mark.parametrize("looks", [[(0.0, 0), (1.0, 999)], [(0.0, 0), (1.0, 1000)]])
def test_what_cannot_be_measured_is_an_error(looks: list[tuple[float, int]]) -> None:
    with pytest.raises(SystemExit, match="error: "):
        steady_rate(looks, 1000)


def test_both_flows_count_every_event() -> None:
    settings, events = Settings(), LOAD.events(3000)
    ours, counted = our_flow(settings, events)
    run_main(ours)
    theirs, counted_often = their_flow(settings, events)
    run_main(theirs)
    assert (counted.sum, counted_often.sum) == (3000, 3000 * THEIR_LENGTH_S)


def test_records_are_the_same_events() -> None:
    for record, event in zip(LOAD.records(200), LOAD.events(200), strict=True):
        envelope = open_envelope(record, Limits(), 5000)
        assert isinstance(envelope, Envelope)
        assert (envelope.source, envelope.time_ms) == (
            event.envelope.source,
            event.envelope.time_ms,
        )
        content = read_content(envelope.value, envelope.content_type)
        assert tuple(map(observe_face, content.faces or ())) == event.observations
        assert len(json.loads(record.value or b"")["emotions"]) == 1


def test_an_epoch_is_a_second() -> None:
    made = list(Epochs(Settings()).of(LOAD.events(100)))
    assert len(made) == 5
    assert all(epoch.touched <= LOAD.sources + 1 for epoch in made)
    assert all(epoch.state_bytes > 100 * epoch.touched for epoch in made)
