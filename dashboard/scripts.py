"""Which of Dash's own scripts a page needs, and which of them the browser should read how.

Dash puts two into every page that run before anything can be seen and of which this dashboard uses
nothing, or next to nothing:

- its table, which is not on any page;
- Babel's polyfill for browsers that do not know ECMAScript 2015. The browsers that can show the
  components know it. Only what runs generators that were compiled for such browsers
  (`regeneratorRuntime`) is called by Dash's scripts: it is taken out of the polyfill.

Of the scripts that it does need, the two largest call most of their functions before anything can
be seen. A browser reads a script aside, but its functions only when they are called, in the way of
everything else; a comment on the first line has it read them aside too
(https://v8.dev/blog/explicit-compile-hints).
"""

from __future__ import annotations

import logging
import re
from functools import cache
from importlib.resources import files
from typing import Final

__all__ = ["generators_script", "hinted", "needed_tags"]

_TABLE: Final = "/dash/dash_table/"
_POLYFILL: Final = "/dash/deps/polyfill@"
_TAG: Final = re.compile(r"<script [^>]*></script>\s*")
# NUMBER:[function(require,module,exports){...regeneratorRuntime=...},{}],
_GENERATORS: Final = re.compile(
    r"\d+:\[function\((?P<names>\w+,\w+,\w+)\)\{"
    r"(?P<body>var (?P<name>\w+)=function\((?:(?!\d+:\[function\().)*?"
    r"try\{regeneratorRuntime=(?P=name)\}catch\(\w+\)\{[^{}]*\})\},\{\}\]",
    re.DOTALL,
)
_MODULE: Final = re.compile(r"\d+:\[function\(")
# Others that were tried (React, Dash's own, the grid) made no difference or a bad one.
_CALLED: Final = ("/first.js", "/dash_mantine_components/dash_mantine_components.")
_HINT: Final = b"//# allFunctionsCalledOnLoad\n"

_log = logging.getLogger(__name__)


def needed_tags(tags: str) -> str:
    """Return Dash's script elements without those that no page needs."""
    unneeded = [_TABLE, *([_POLYFILL] if generators_script() else [])]
    return _TAG.sub(lambda tag: "" if any(path in tag[0] for path in unneeded) else tag[0], tags)


@cache
def generators_script() -> str:
    """Return the script that sets `regeneratorRuntime`; empty when the polyfill is another one."""
    folder = files("dash").joinpath("deps")
    names = [file.name for file in folder.iterdir() if file.name.startswith("polyfill@")]
    text = "".join(folder.joinpath(name).read_text("utf-8") for name in names)
    end = text.find("try{regeneratorRuntime=")
    begin = max((at.start() for at in _MODULE.finditer(text, 0, max(end, 0))), default=0)
    found = _GENERATORS.match(text, begin)
    if found is None:
        _log.warning("Dash's polyfill is not the one that is known: pages load all of it")
        return ""
    # The module finds no `exports`, and so keeps to the name that it sets.
    return f"var regeneratorRuntime;(function({found['names']}){{{found['body']}}})();\n"


def hinted(path: str, script: bytes) -> bytes:
    """Return the script at a path, with the hint to read its functions at once where it helps."""
    called = path.endswith(".js") and any(name in path for name in _CALLED)
    return _HINT + script if called else script
