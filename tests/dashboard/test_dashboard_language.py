"""The languages of the dashboard: every message has its translation, and a request chooses."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st
from waiting import PATIENCE_S

from dashboard.language import LANGUAGES, current, gettext, ngettext, use
from dashboard.preference import preferred
from dashboard.texts import age_text, decimal_text, percent_text

ROOT = Path(__file__).resolve().parents[2]
LOCALES = ROOT / "dashboard" / "locales"
OTHERS = sorted(set(LANGUAGES) - {"en"})


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    use("en")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the messages of the code, extracted as `make messages` does."""
    recipe = (ROOT / "Makefile").read_text()
    options = re.search(r"pybabel -q extract (.*) -o", recipe)
    assert options is not None
    target = tmp_path_factory.mktemp("messages") / "messages.pot"
    command = [sys.executable, "-m", "babel.messages.frontend", "-q", "extract"]
    subprocess.run(
        [*command, *options[1].split(), "-o", str(target), "dashboard"], cwd=ROOT, check=True
    )
    with target.open("rb") as file:
        return read_po(file)


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_is_translated_and_none_is_left_over(template: Any, language: str) -> None:
    folder = LOCALES / language / "LC_MESSAGES"
    with (folder / "messages.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    wanted = {(m.id, m.context) for m in template if m.id}
    assert {(m.id, m.context) for m in catalogue if m.id} == wanted
    for message in catalogue:
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        names = set(re.findall(r"{\w+}", ids[0]))
        for text in texts:
            assert text.strip(), message.id
            assert set(re.findall(r"{\w+}", text)) == names, message.id


@pytest.mark.parametrize("language", OTHERS)
def test_the_compiled_catalogue_is_that_of_the_text(language: str) -> None:
    folder = LOCALES / language / "LC_MESSAGES"
    with (folder / "messages.po").open("rb") as file:
        text = _strings(read_po(file, locale=language))
    with (folder / "messages.mo").open("rb") as file:
        assert _strings(read_mo(file)) == text


def _strings(catalogue: Any) -> dict[tuple[str, ...], tuple[str, ...]]:
    def parts(value: Any) -> tuple[str, ...]:
        return (value,) if isinstance(value, str) else tuple(value)

    found = {}
    for message in catalogue:
        context = message.context or ""
        # Babel reads the context of a compiled message as bytes.
        text = context.decode() if isinstance(context, bytes) else context
        if message.id:
            found[(*parts(message.id), text)] = parts(message.string)
    return found


def test_texts_and_numbers_are_those_of_the_language() -> None:
    use("fr")
    assert current() == "fr"
    assert gettext("happiness") == "joie"
    assert ngettext("face", "faces", 0) == "visage"  # French counts none as one
    assert ngettext("face", "faces", 2) == "visages"
    assert decimal_text(-0.25) == "\u22120,25"
    assert percent_text(0.125, 1) == "12,5\u202f%"
    assert age_text(3 * 86_400) == "3\u202fj"
    use("xx")
    assert current() == "en"
    assert gettext("happiness") == "happiness"
    assert decimal_text(0.25) == "0.25"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("de,en;q=0.8,fr;q=0.7", "en"),
        ("de,fr;q=0.7,en;q=0.8", "en"),
        ("fr;q=0, en;q=0.1", "en"),
        ("fr;q=zero", "en"),
        ("pt", "en"),
    ],
)
def test_the_browsers_wish_is_heard(header: str, language: str) -> None:
    assert preferred(header) == language


@given(st.text())
def test_any_header_gives_a_language(header: str) -> None:
    assert preferred(header) in LANGUAGES


def test_an_address_chooses_the_language_and_it_is_remembered(
    redis_server: Any, start_dashboard: Callable[..., Any]
) -> None:
    dashboard = start_dashboard(REDIS__URL=redis_server.url)

    def get(path: str, **headers: str) -> tuple[str, str | None]:
        request = urllib.request.Request(dashboard.url + path, headers=headers)  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
            return answer.read().decode(), answer.headers["set-cookie"]

    page, cookie = get("/history?lang=fr")
    assert '<html lang="fr">' in page
    assert cookie is not None
    assert cookie.startswith("sentistream_language=fr;")
    layout, _ = get("/_dash-layout", Cookie="sentistream_language=fr")
    assert "Toutes les sources" in layout
    layout, _ = get("/_dash-layout", Cookie="sentistream_language=xx")
    assert "All sources" in layout
    page, cookie = get("/", **{"Accept-Language": "fr-FR,fr;q=0.9"})
    assert '<html lang="fr">' in page
    assert cookie is None
