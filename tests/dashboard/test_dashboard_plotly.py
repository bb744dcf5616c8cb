"""The script that draws the charts, made from the one that the `plotly` package carries.

That it draws them is seen in the browser tests.
"""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from dashboard import plotly_script as module
from dashboard.plotly_script import KINDS, NotRecognisedError, plotly_script, reduced


def whole() -> str:
    return files("plotly").joinpath("package_data", "plotly.min.js").read_text("utf-8")


def test_the_installed_script_loses_what_no_page_draws() -> None:
    script = reduced(whole(), KINDS)
    assert len(script) < len(whole()) / 3
    for kind in ("bar", "heatmap", "scatter"):
        assert f'moduleType:"trace",name:"{kind}"' in script
    for kind in ("scattermap", "scatter3d", "sankey"):
        assert f'moduleType:"trace",name:"{kind}"' in whole()
        assert f'moduleType:"trace",name:"{kind}"' not in script


def test_the_sizes_of_fewer_texts_are_remembered() -> None:
    remembered = re.compile(r"savedBBoxes=\{\};var [\w$]+=0,[\w$]+=(\w+);")
    assert remembered.findall(whole()) == ["1e4"]
    assert remembered.findall(plotly_script()) == ["500"]


def test_licences_stay() -> None:
    script = reduced(whole(), KINDS)
    assert script.startswith("/**\n* plotly.js v")
    assert "Licensed under the MIT license" in script
    assert script.endswith(whole()[whole().index("\nwindow.Plotly = Plotly;") :])


def test_more_kinds_are_more_script() -> None:
    assert len(reduced(whole(), (*KINDS, "pie"))) > len(reduced(whole(), KINDS))


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        ("", KINDS),
        ("var a=b(()=>{});", KINDS),
        (whole().replace(".register([", ".register2(["), KINDS),
        (whole(), ("bar", "no such kind")),
    ],
)
def test_another_script_is_not_taken_apart(script: str, kinds: tuple[str, ...]) -> None:
    with pytest.raises(NotRecognisedError):
        reduced(script, kinds)


def test_what_is_not_recognised_is_served_whole_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "KINDS", ("no such kind",))
    assert plotly_script.__wrapped__().startswith(whole())
    assert "served whole" in caplog.text
