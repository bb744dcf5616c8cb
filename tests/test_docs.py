"""The documentation and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from dataflows.contract import REASONS
from dataflows.panes import FIELDS
from dataflows.settings import setting_names
from infra.cli import app
from serving.drift_metrics import DriftMetrics
from serving.flow_metrics import FlowMetrics
from serving.metrics import Metrics
from serving.problems import KINDS
from training.cli import app as training
from training.datasets.sources import FORMATS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    """Return what stands between two comments in the README."""
    match = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.DOTALL)
    assert match is not None
    return match[1]


def test_every_setting_is_documented_and_the_reverse() -> None:
    named = re.findall(r"^\| `(SENTISTREAM_\w+)` \|", section("settings"), re.MULTILINE)
    assert named == list(setting_names())


def test_every_reason_is_documented_and_the_reverse() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section("reasons"), re.MULTILINE)
    assert dict(rows) == REASONS


def test_every_command_is_documented_and_the_reverse() -> None:
    commands = set(get_command(app).commands)
    assert (
        set(re.findall(r"(?<=sentistream )([a-z]+)(?= --| [a-z]+\.| [a-z]+ --)", README))
        == commands
    )


def test_the_fields_of_a_pane_are_documented_in_their_order() -> None:
    text = " ".join(README.split())
    assert ", ".join(FIELDS) in text


def test_every_stage_of_training_is_documented_and_the_reverse() -> None:
    table = README.split("### Make your own")[1].split("## Limits")[0]
    named = set(re.findall(r"^\| `(\w+)` \| .* \| .* \|$", table, re.MULTILINE))
    assert named | {"run", "compare", "evaluate"} == set(get_command(training).commands)
    assert all(f"`{name}" in table for name in ("run", "compare", "evaluate"))


def test_every_form_of_a_data_set_is_documented_and_the_reverse() -> None:
    table = README.split("| `format` |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`.*`) \| .* \|$", table, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == set(FORMATS)


def test_every_problem_and_metric_of_the_api_is_documented_and_the_reverse() -> None:
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \|$", page, re.MULTILINE)
    told = {name: (int(status), title) for name, status, title in rows}
    assert told == {name: kind for name, kind in KINDS.items() if name not in REASONS}
    for prefix, families in (
        ("sentistream_api", Metrics().registry.collect()),
        ("sentistream_flow", FlowMetrics({}).collect()),
        ("sentistream_drift", DriftMetrics([]).collect()),
    ):
        named = dict(re.findall(rf"^\| `({prefix}\w+)` \| .* \| (.+) \|$", page, re.MULTILINE))
        suffixes = {"counter": "_total"}
        assert named == {f.name + suffixes.get(f.type, ""): f.documentation for f in families}
