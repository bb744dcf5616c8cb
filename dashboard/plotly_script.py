"""Plotly's script without the kinds of charts that no page has.

The `plotly` package carries one script with every kind of chart, maps and WebGL included: 4.8 MB,
of which this dashboard runs a quarter. Reading and running the rest took longer than everything
else that a page does before its first line is drawn.

The script is a list of modules, each `var NAME=WRAP((exports,module)=>{...});`, and a last one that
registers all kinds. Here that last one registers fewer, and the modules that nothing calls any more
are left out. What is not recognised, as in a release that is put together differently, is served
whole: slower, and just as right.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator
from functools import cache
from importlib.resources import files
from typing import Final

__all__ = ["KINDS", "NotRecognisedError", "plotly_script", "reduced"]

# The lines ("scatter") are part of Plotly's core.
KINDS: Final = ("bar", "heatmap")

_NAME: Final = r"[\w$]+"
# var Last=WRAP((exports,module)=>{var P=core();P.register([kind(),...]);module.exports=P});
# return Last()
_LAST: Final = re.compile(
    rf"var (?P<last>{_NAME})=(?P<wrap>{_NAME})\(\({_NAME},(?P<module>{_NAME})\)=>"
    rf"\{{var (?P<plotly>{_NAME})=(?P<core>{_NAME})\(\);"
    rf"(?P=plotly)\.register\(\[(?P<kinds>{_NAME}\(\)(?:,{_NAME}\(\))*)\]\);"
    r"(?P=module)\.exports=(?P=plotly)\}\);return (?P=last)\(\)"
)
# ESM=(run,result,error)=>()=>{...run(run=0)...}: wraps what was written as an ES module.
_ESM: Final = re.compile(
    rf"\b(?P<esm>{_NAME})=\((?P<run>{_NAME}),[^()]*\)=>\(\)=>\{{[^{{}}]*\{{[^{{}}]*"
    r"(?P=run)\((?P=run)=0\)"
)
_CALL: Final = re.compile(rf"(?<![\w$.])({_NAME})\(\)")
_SAME: Final = re.compile(rf"\.exports=({_NAME})\(\)")
_KIND: Final = re.compile(r'moduleType:"trace",name:"(\w+)"')
# Plotly remembers the sizes of 10,000 texts. On a line that moves every label is a new one each
# second, as its place is part of the key, so that this only fills memory.
_REMEMBERED: Final = re.compile(rf"(\.savedBBoxes=\{{\}};var {_NAME}=0,{_NAME}=)1e4;")
_SIZES: Final = 500
_SHORT: Final = 200  # characters of a module that only passes another one on
# Dash has every chart adapt to the size of its place twice right after it was drawn for that size,
# and Plotly draws it anew each time.
_RESIZED: Final = """
(() => {
  const resize = Plotly.Plots.resize;
  Plotly.Plots.resize = (chart) => {
    const {width, height} = chart._fullLayout ?? {};
    const place = getComputedStyle(chart);
    const fits = parseFloat(place.width) === width && parseFloat(place.height) === height;
    return fits ? Promise.resolve(chart) : resize(chart);
  };
})();
"""

_log = logging.getLogger(__name__)


class NotRecognisedError(ValueError):
    """The script is not put together as expected; the message says what was not found."""


@cache
def plotly_script() -> str:
    """Return the script for the pages; the first call takes a fifth of a second of CPU time."""
    script = files("plotly").joinpath("package_data", "plotly.min.js").read_text("utf-8")
    try:
        script = _REMEMBERED.sub(rf"\g<1>{_SIZES};", reduced(script, KINDS))
    except NotRecognisedError as error:
        _log.warning("Plotly's script is served whole, so that pages open more slowly: %s", error)
    return script + _RESIZED


def reduced(script: str, kinds: Collection[str]) -> str:
    """Return the script with these kinds of charts beside the lines.

    Raises:
        NotRecognisedError: it is not put together as expected.
    """
    last = _LAST.search(script, max(0, script.rfind(".register([") - _SHORT))
    if last is None:
        raise NotRecognisedError("no list of the kinds of charts")
    esm = _ESM.search(script)
    if esm is None:
        raise NotRecognisedError("no wrapper of ES modules")
    modules = _Modules(script[: last.start()], last["wrap"], esm["esm"])
    registered = _CALL.findall(last["kinds"])
    kept = [name for name in registered if modules.kind(name) in kinds]
    if len(kept) != len(kinds):
        raise NotRecognisedError(f"{len(kept)} of the kinds {', '.join(kinds)}")
    calls = ",".join(f"{name}()" for name in kept)
    begin, end = last.span("kinds")
    return "".join(
        (
            modules.head,
            *modules.needed((last["core"], *kept)),
            script[last.start() : begin],
            calls,
            script[end:],
        )
    )


class _Modules:
    """The modules of the script in their order.

    Attributes:
        head: what stands before the first.
    """

    def __init__(self, script: str, wrap: str, esm: str) -> None:
        begin = re.compile(rf"var ({_NAME})={re.escape(wrap)}\(")
        found = [at for at in begin.finditer(script) if script[at.start() - 1] in ";}"]
        if not found:
            raise NotRecognisedError("no module")
        starts = [at.start() for at in found]
        self.head = script[: starts[0]]
        ends = (*starts[1:], len(script))
        self._texts = [script[start:end] for start, end in zip(starts, ends, strict=True)]
        self._places = {at[1]: place for place, at in enumerate(found)}
        # ES modules stand behind the others; what they define is reached by running them first.
        within = re.compile(rf"({_NAME})={re.escape(esm)}\(")
        for place, text in enumerate(self._texts):
            if f"={esm}(" in text:
                self._places |= dict.fromkeys(within.findall(text), place)

    def kind(self, name: str) -> str | None:
        """Return the kind of chart that a module makes, `None` if it makes none."""
        for _step in range(len(self._texts)):
            text = self._text(name)
            same = _SAME.search(text) if len(text) < _SHORT else None
            if same is None:
                found = _KIND.search(text)
                return found[1] if found else None
            name = same[1]
        return None

    def needed(self, names: Collection[str]) -> Iterator[str]:
        """Yield the texts of these modules and of all that they call, in their order."""
        waiting, seen = list(names), set[int]()
        while waiting:
            place = self._places.get(waiting.pop())
            if place is not None and place not in seen:
                seen.add(place)
                waiting += _CALL.findall(self._texts[place])
        return (self._texts[place] for place in sorted(seen))

    def _text(self, name: str) -> str:
        place = self._places.get(name)
        if place is None:
            raise NotRecognisedError(f"no module {name}")
        return self._texts[place]
