"""The language of a page: messages in English, and catalogues of others in `locales`.

The language is that of the request, kept for the callbacks that run on behalf of it.
"""

from __future__ import annotations

import gettext as catalogues
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["DEFAULT", "LANGUAGES", "current", "decimal_point", "gettext", "ngettext", "use"]

DEFAULT: Final = "en"
LANGUAGES: Final = {"en": "English", "fr": "Français"}
_FOLDER: Final = Path(__file__).parent / "locales"
_language: ContextVar[str] = ContextVar("language", default=DEFAULT)


def current() -> str:
    """Return the language in use, a key of `LANGUAGES`."""
    return _language.get()


def use(language: str) -> None:
    """Use a language from here on in this context; an unknown one is the default."""
    _language.set(language if language in LANGUAGES else DEFAULT)


def gettext(message: str) -> str:
    """Return a message in the language in use."""
    return _catalogue(current()).gettext(message)


def ngettext(singular: str, plural: str, count: int) -> str:
    """Return the form of a message for a count in the language in use."""
    return _catalogue(current()).ngettext(singular, plural, count)


def decimal_point() -> str:
    """Return what stands between units and tenths in the language in use."""
    return _catalogue(current()).pgettext("decimal point", ".")


def _(message: str) -> str:
    """Mark a message that is looked up by its value elsewhere."""
    return message


# Names in the records of the stream, and units of time.
NAMES: Final = (
    _("happiness"),
    _("surprise"),
    _("neutral"),
    _("sadness"),
    _("fear"),
    _("disgust"),
    _("anger"),
    _("positive"),
    _("negative"),
    _("text"),
    _("d"),
    _("h"),
    _("min"),
)


@cache
def _catalogue(language: str) -> catalogues.NullTranslations:
    if language == DEFAULT:
        return catalogues.NullTranslations()
    return catalogues.translation("messages", _FOLDER, [language], fallback=True)
