"""The security headers of every answer: what a page of ours may load, do, and be part of."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Final

__all__ = ["HSTS", "Headers", "dashboard_headers", "inline_hash", "small_page_headers"]

Headers = tuple[tuple[bytes, bytes], ...]

# Sent over HTTPS only, and never for a loopback name, which other programs serve without.
HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
# What a page does not need it is not to have, nor what it embeds.
_FEATURES: Final = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "hid",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "serial",
    "usb",
)
_COMMON: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # "no-referrer" would make the form's Origin "null"
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
# What holds for every page; everything that a page does not allow by name is forbidden.
_CLOSED: Final = {
    "default-src": "'none'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


def inline_hash(text: str) -> str:
    """Return the source expression that allows one inline script or style."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def dashboard_headers(scripts: Iterable[str], *, camera: bool = False) -> Headers:
    """Return the headers of the dashboard's own answers.

    Args:
        scripts: source expressions of the inline scripts, as `Dash.csp_hashes()` gives them.
        camera: whether the page may ask its viewer for the camera.
    """
    return _headers(
        camera=camera,
        allowed={
            "script-src": " ".join(["'self'", *scripts]),
            # Mantine, AG Grid and Plotly write styles as they draw, so neither hash nor nonce is
            # possible. A style alone could only load things, which the other lines forbid.
            "style-src": "'self' 'unsafe-inline'",
            "img-src": "'self' data:",  # icons within style sheets
            "font-src": "'self' data:",
            "connect-src": "'self'",  # the websocket too
            "worker-src": "'self'",
        },
    )


def small_page_headers(style: str) -> Headers:
    """Return the headers of a page that has one inline style, a form, and an icon in itself."""
    return _headers({"style-src": inline_hash(style), "img-src": "data:"})


def _headers(allowed: dict[str, str], *, camera: bool = False) -> Headers:
    policy = "; ".join(f"{name} {value}" for name, value in (_CLOSED | allowed).items())
    own = {"camera"} if camera else set()
    features = ", ".join(f"{name}={'(self)' if name in own else '()'}" for name in _FEATURES)
    return (
        *_COMMON,
        (b"permissions-policy", features.encode("ascii")),
        (b"content-security-policy", policy.encode("ascii")),
    )
